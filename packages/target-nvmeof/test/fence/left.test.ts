import type { NvmeArrayOptions } from '@blockbraid/array-nvmeof'
import type { Path, Target } from '@blockbraid/core'
import { BlockError, IoOp, OK, systemHost } from '@blockbraid/core'
import { killableHost } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import type { NvmeofOptions } from '../../src/index.ts'
import type { Wire } from './wire-rig.ts'
import { NEW, OLD, run, WRITE, wire } from './wire-rig.ts'

interface Left extends Wire {
  readonly token: string
  /** Lets the array execute what it has of the process that was killed. */
  release(): Promise<void>
}

async function open(target: Target, port: string): Promise<Path> {
  const info = (await target.discover()).find(({ address }) => address === port)
  return target.connect(info!)
}

/** A process writes through port 0, the array holds it, and the process is killed. */
async function killed(options: Partial<NvmeArrayOptions> = {}, host: Partial<NvmeofOptions> = {}): Promise<Left> {
  const made = await wire(options)
  const { array } = made
  const process = killableHost(systemHost)
  const path = await open(made.host(host, process), array.ports[0]!.address)
  const hold = array.faults.command({ port: 0, opcode: WRITE, holds: true })
  void run(path, IoOp.Write, OLD)
  await expect.poll(() => hold.held).toBe(1)
  process.kill()
  for (const controller of array.controllers) controller.reset()
  const token = path.fenceToken!
  return {
    ...made,
    token,
    async release() {
      hold.remove()
      await new Promise((resolve) => setTimeout(resolve, 50))
    },
  }
}

/** Tries again and again, as core does. */
async function prove(next: Target, token: string): Promise<number> {
  for (let tries = 1; ; tries++) {
    try {
      await next.fence!(token)
      return tries
    } catch (error) {
      if (!BlockError.is(error) || error.code !== 'CONNECT_FAILED') throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** The next process proves, and writes then; the array executes what it has left. Returns what stands. */
async function inherit(left: Left, next: Target, port = 1): Promise<number> {
  const path = await open(next, left.array.ports[port]!.address)
  await prove(next, left.token)
  expect(await run(path, IoOp.Write, NEW)).toBe(OK)
  await left.release()
  return left.stored()
}

test('what a process has left is ended by a reset through the first association of the next one', async () => {
  const left = await killed()
  expect(await inherit(left, left.host())).toBe(NEW)
  expect(left.array.counters.crossResets).toBe(1)
})

test('it would not be, did the reset not end it: the test above can fail', async () => {
  const left = await killed({ fences: { crossReset: false } })
  expect(await inherit(left, left.host())).toBe(OLD)
})

test('a process with another identity asks as the host that was', async () => {
  const left = await killed()
  const other = { hostNqn: 'nqn.2026-11.io.blockbraid:next', hostId: '0f0e0d0c-0b0a-0908-0706-050403020100' }
  expect(await inherit(left, left.host(other))).toBe(NEW)
  expect(left.array.counters.crossResets).toBe(1)
})

const SOON = { keepAliveTimeout: 300 }

test('where no reset can be had, it waits until the controller has missed the process', async () => {
  const left = await killed({ crossResets: 0 }, SOON)
  expect(await inherit(left, left.host())).toBe(NEW)
  expect(left.array.counters.expirations).toBeGreaterThan(0)
})

test('the same, where CIRN has changed meanwhile', async () => {
  const left = await killed({}, SOON)
  for (const controller of left.array.controllers) controller.renew()
  expect(await inherit(left, left.host())).toBe(NEW)
  expect(left.array.counters.crossResets).toBe(0)
})

test('it would not be, did the controller not miss it: the test above can fail', async () => {
  const left = await killed({ crossResets: 0, fences: { keepAlive: false } }, SOON)
  expect(await inherit(left, left.host())).toBe(OLD)
})

test('a token of another subsystem, or none, is not this target’s', async () => {
  const { array, host } = await wire()
  const next = host()
  const path = await open(next, array.ports[0]!.address)
  const elsewhere = path
    .fenceToken!.replace(array.name, 'nqn.2026-11.io.blockbraid:other')
    .replace(/:\d+","nsid/, ':1","nsid')
  expect(elsewhere).not.toBe(path.fenceToken)
  for (const token of [elsewhere, '', 'iscsi:{}', 'nvme-tcp:{}', path.fenceToken!.slice(0, -1)]) {
    await expect(next.fence!(token)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
  }
  expect(path.fenceToken).not.toMatch(/DHHC|NVMeTLSkey/)
})
