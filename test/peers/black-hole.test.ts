import { setTimeout as sleep } from 'node:timers/promises'
import type { IscsiArray } from '@blockbraid/array-iscsi'
import { createIscsiArray } from '@blockbraid/array-iscsi'
import type { NvmeArrayOptions } from '@blockbraid/array-nvmeof'
import { createNvmeArray } from '@blockbraid/array-nvmeof'
import type { BlockDevicePair, FencedDetail, MultipathOptions, Target } from '@blockbraid/core'
import { createEmitter, createHostAgent } from '@blockbraid/core'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { iscsi } from '@blockbraid/target-iscsi'
import { memory } from '@blockbraid/target-memory'
import { nvmeof } from '@blockbraid/target-nvmeof'
import type { ChaosProxy } from '@blockbraid/testkit'
import { createChaosProxy } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { itWithTgt, openTgt } from './support/tgt.ts'

const SIZE = 4 << 20
const IO = 4096
const WORKERS = 16

// The longest that any I/O may wait when one of two paths swallows all that is sent, ms: 11 s by default and 3 s with the
// profile `fast`, on a quiet machine. What is asserted is what would show that something else ended the wait, such as a
// time-out of the I/O itself (30 s, and 3 s): a busy machine is late by seconds.
const DEFAULT_BOUND = 20_000
const FAST_BOUND = 10_000

const transport = {
  name: 'none',
  attach: async () => ({ node: '', events: createEmitter<never>(), resize: async () => {}, detach: async () => {} }),
  close: async () => {},
}

/** What was measured, milliseconds. */
interface Waits {
  readonly reads: number
  readonly writes: number
  readonly fence: FencedDetail | undefined
}

async function openPair(
  target: Target,
  multipath: MultipathOptions,
  stack: AsyncDisposableStack,
): Promise<BlockDevicePair> {
  const agent = createHostAgent({ targets: [target] })
  stack.defer(() => agent.close({ signal: AbortSignal.timeout(5000) }).catch(() => {}))
  await agent.rescan()
  const { id } = agent.devices().find(({ kind }) => kind === 'multipath')!
  const pair = await agent.pair({ name: 'volume', device: id, transport, multipath, selector: () => roundRobin() })
  await expect.poll(() => pair.paths.filter(({ state }) => state === 'up').length, { timeout: 10_000 }).toBe(2)
  return pair
}

/** Reads and writes at once over both paths, makes one a black hole, and measures until nothing waits any more. */
async function measure(pair: BlockDevicePair, proxy: ChaosProxy): Promise<Waits> {
  const longest = { read: 0, write: 0 }
  let over = false
  let fence: FencedDetail | undefined
  pair.events.on('fenced', (detail) => {
    fence ??= detail
  })
  const work = async (number: number): Promise<void> => {
    const data = Buffer.alloc(IO, number)
    for (let at = number; !over; at = (at + WORKERS) % (SIZE / IO)) {
      const reads = (number & 1) === 0
      const since = performance.now()
      if (reads) await pair.user.read(at * IO, IO)
      else await pair.user.write(at * IO, data)
      const took = performance.now() - since
      if (reads) longest.read = Math.max(longest.read, took)
      else longest.write = Math.max(longest.write, took)
      await sleep(1)
    }
  }
  const workers = Promise.all(Array.from({ length: WORKERS }, (_, number) => work(number)))
  await sleep(1000)
  proxy.blackhole(true)
  await expect
    .poll(() => pair.paths.every(({ inflight }) => inflight < WORKERS / 2) && fence !== undefined, {
      timeout: 60_000,
      interval: 50,
    })
    .toBe(true)
  await sleep(200)
  over = true
  await workers
  proxy.blackhole(false)
  return { reads: Math.round(longest.read), writes: Math.round(longest.write), fence }
}

function tell(what: string, { reads, writes, fence }: Waits): void {
  const proof = fence === undefined ? 'no fence' : `${fence.by}, ${Math.round(fence.took)} ms after the path had failed`
  console.log(`${what}: longest read ${reads} ms, longest write ${writes} ms; fenced by: ${proof}`)
}

async function storage(stack: AsyncDisposableStack) {
  const target = memory({ volumes: [{ size: SIZE, blockSize: 4096 }], ports: 1 })
  stack.defer(() => target.close({ signal: AbortSignal.timeout(2000) }).catch(() => {}))
  const [info] = await target.discover()
  const path = await target.connect(info!)
  // Without an access state of its own: that of the array counts.
  return { submit: path.submit.bind(path), close: path.close.bind(path), limits: path.limits }
}

async function before(address: string, stack: AsyncDisposableStack): Promise<ChaosProxy> {
  const [host, port] = address.split(':') as [string, string]
  return stack.use(await createChaosProxy({ to: { host, port: Number(port) } }))
}

async function iscsiBed(
  stack: AsyncDisposableStack,
): Promise<{ target: Target; proxy: ChaosProxy; array: IscsiArray }> {
  const array = stack.use(
    await createIscsiArray({
      name: 'iqn.2026-11.io.blockbraid:array',
      portals: [{ group: 1 }, { group: 1 }],
      luns: [{ volume: 'naa.6001405aa5522f6e1234567890abcdef', device: await storage(stack) }],
    }),
  )
  const proxy = await before(array.portals[0]!.address, stack)
  const target = iscsi({
    portals: [proxy.address, array.portals[1]!.address],
    target: array.name,
    toldPortals: false,
    initiator: 'iqn.2026-11.io.blockbraid:black-hole',
  })
  return { target, proxy, array }
}

// A controller that misses its host has ended what it was sent a second later, as it tells (CQT).
async function nvmeBed(
  stack: AsyncDisposableStack,
  options: Partial<NvmeArrayOptions> = {},
): Promise<{ target: Target; proxy: ChaosProxy }> {
  const array = stack.use(
    await createNvmeArray({
      name: 'nqn.2026-11.io.blockbraid:array',
      ports: [{}, {}],
      quiesceTime: 1000,
      namespaces: [{ volume: 'uuid.2ad5c0ea-3f1d-4b6b-9e2b-6f7b6b3a9d10', device: await storage(stack) }],
      ...options,
    }),
  )
  const proxy = await before(array.ports[0]!.address, stack)
  const target = nvmeof({
    portals: [proxy.address, array.ports[1]!.address],
    subsystem: array.name,
    toldPortals: false,
    hostNqn: 'nqn.2026-11.io.blockbraid:black-hole',
    hostId: '6b1d2c58-0b6e-4f0b-9d0e-1f5a7c9e2d34',
  })
  return { target, proxy }
}

const beds = {
  iSCSI: iscsiBed,
  'NVMe/TCP': nvmeBed,
  'NVMe/TCP without resets': (stack: AsyncDisposableStack) => nvmeBed(stack, { crossResets: 0 }),
} as const

it.each([
  ['iSCSI', 'by default', {}, DEFAULT_BOUND],
  ['iSCSI', 'fast', { rideOut: 'fast' }, FAST_BOUND],
  ['NVMe/TCP', 'by default', {}, DEFAULT_BOUND],
  ['NVMe/TCP', 'fast', { rideOut: 'fast' }, FAST_BOUND],
  ['NVMe/TCP without resets', 'by default', {}, DEFAULT_BOUND],
] as const)(
  '%s, %s: a path that swallows everything holds up no I/O for long',
  async (protocol, profile, multipath, bound) => {
    await using stack = new AsyncDisposableStack()
    const { target, proxy } = await beds[protocol](stack)
    const pair = await openPair(target, multipath, stack)
    const waits = await measure(pair, proxy)
    tell(`${protocol}, ${profile}`, waits)
    expect(waits.reads).toBeLessThan(bound)
    expect(waits.writes).toBeLessThan(bound)
  },
)

itWithTgt('iSCSI to tgt, by default: a path that swallows everything holds up no I/O for long', async () => {
  await using stack = new AsyncDisposableStack()
  const tgt = stack.use(await openTgt())
  const made = await tgt.addTarget()
  await made.addLun({ size: SIZE, blockSize: 4096 })
  const proxy = await before(tgt.portals[0], stack)
  const target = iscsi({
    portals: [proxy.address, tgt.portals[1]],
    target: made.name,
    toldPortals: false,
    initiator: 'iqn.2026-11.io.blockbraid:black-hole',
  })
  const waits = await measure(await openPair(target, {}, stack), proxy)
  tell('iSCSI to tgt, by default', waits)
  expect(waits.reads).toBeLessThan(DEFAULT_BOUND)
  expect(waits.writes).toBeLessThan(DEFAULT_BOUND)
})
