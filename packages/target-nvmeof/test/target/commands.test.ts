import type { PathTrouble } from '@blockbraid/core'
import { Errno, IoOp, isPathError, NOT_EXECUTED, OK, PATH_ERROR } from '@blockbraid/core'
import { describe, expect, test } from 'vitest'
import { getLog, identify, LogPage, sendNvme } from '../../src/index.ts'
import { bed, read, run, write } from './bed.ts'

const WRITE = 0x01
const FLUSH = 0x00
const INTERRUPTED = 0x021
const NOT_READY = 0x082
const INTERNAL_PATH = 0x300
const CONFLICT = 0x083
const UNRECOVERED = 0x281

function troublesOf(path: Awaited<ReturnType<Awaited<ReturnType<typeof bed>>['open']>>): PathTrouble[] {
  const troubles: PathTrouble[] = []
  path.events.on('trouble', (trouble) => troubles.push(trouble))
  return troubles
}

describe('a command that fails', () => {
  test('is sent again after the delay that its status asks for', async () => {
    const { array, open } = await bed({ array: { retryDelays: [100, 60_000, 1000] } })
    const path = await open()
    const fault = array.faults.command({ opcode: WRITE, status: INTERRUPTED, retryDelay: 1, count: 1 })
    expect(await write(path, 7)).toBe(OK)
    expect([fault.hits, await read(path)]).toEqual([1, 7])
    array.faults.command({ opcode: WRITE, status: INTERRUPTED, retryDelay: 2, count: 1 })
    const late = write(path, 8)
    expect(await write(path, 9)).toBe(OK)
    await path.close()
    // It waited still, and was never sent again.
    expect(await late).toBe(Errno.EIO | PATH_ERROR | NOT_EXECUTED)
  })

  test('and may soon succeed is sent again a few times, then another path has it', async () => {
    const { array, open } = await bed()
    const path = await open()
    const fault = array.faults.command({ opcode: WRITE, status: INTERNAL_PATH })
    expect(await write(path, 7)).toSatisfy(isPathError)
    expect(fault.hits).toBe(6)
  })

  test('with DNR is not sent again', async () => {
    const { array, open } = await bed()
    const path = await open()
    const fault = array.faults.command({ opcode: WRITE, status: INTERRUPTED, doNotRetry: true })
    const status = await write(path, 7)
    expect(status).toBe(Errno.EIO)
    expect(fault.hits).toBe(1)
  })

  test('as the namespace is not ready waits, and goes elsewhere unexecuted', async () => {
    const { array, open } = await bed()
    const path = await open()
    array.faults.command({ opcode: WRITE, status: NOT_READY, count: 2 })
    expect(await write(path, 7)).toBe(OK)
    array.faults.command({ opcode: WRITE, status: NOT_READY })
    const status = await write(path, 7)
    expect(status & NOT_EXECUTED).toBe(NOT_EXECUTED)
  })

  test('is told in words, once for many', async () => {
    const { array, open } = await bed()
    const path = await open()
    const troubles = troublesOf(path)
    array.faults.command({ opcode: 0x02, status: UNRECOVERED })
    for (let at = 0; at < 5; at++) {
      expect(await run(path, { op: IoOp.Read, offset: 512 * 8, buffers: [Buffer.alloc(512)] })).toBe(Errno.ENODATA)
    }
    expect(troubles).toEqual([
      {
        kind: 'unrecovered read error',
        severity: 'error',
        count: 1,
        text: expect.stringMatching(/^unrecovered read error \(status 2\/81h\); read at block 8, namespace 1 through /),
      },
    ])
  })

  test('as a reservation forbids it is an error, no path error: registrations are those of the host', async () => {
    const { array, open } = await bed()
    const path = await open()
    const troubles = troublesOf(path)
    expect(path.reservesAlone).toBe(false)
    array.faults.command({ opcode: WRITE, status: CONFLICT })
    expect(await write(path, 7)).toBe(Errno.EBADE)
    expect(troubles[0]?.text).toContain('a reservation lets this host in only when')
  })

  test('in a zeroing or a trim is tried again in the same way', async () => {
    const { array, open } = await bed()
    const path = await open()
    expect(await write(path, 7)).toBe(OK)
    array.faults.command({ opcode: 0x08, status: INTERRUPTED, count: 2 })
    array.faults.command({ opcode: 0x09, status: INTERRUPTED, count: 2 })
    expect(await run(path, { op: IoOp.WriteZeroes, length: 4096 })).toBe(OK)
    expect(await read(path)).toBe(0)
    expect(await run(path, { op: IoOp.Trim, length: 4096 })).toBe(OK)
  })
})

describe('commands by hand', () => {
  test('are answered whatever the status, and an I/O command goes to an I/O queue', async () => {
    const { array, open } = await bed()
    const path = await open()
    const { command, data } = identify(0x01)
    const answer = await path.commands.send(command, data, {})
    expect(answer.status).toBe(0)
    expect(answer.data).toHaveLength(4096)
    array.faults.command({ opcode: FLUSH, status: CONFLICT })
    const flush = await path.commands.send({ admin: false, opcode: FLUSH, nsid: 1 }, 0, {})
    expect(flush.status & 0x7ff).toBe(CONFLICT)
    const smart = getLog(LogPage.Smart, 512)
    expect((await sendNvme(path, smart.command, smart.data)).status).toBe(0)
  })

  test('end with the path', async () => {
    const { array, open } = await bed()
    const path = await open()
    array.faults.command({ admin: true, opcode: 0x02, holds: true })
    const { command, data } = getLog(LogPage.Smart, 512)
    const waiting = path.commands.send(command, data, {})
    waiting.catch(() => {})
    await path.close()
    await expect(waiting).rejects.toMatchObject({ name: 'BlockError' })
    await expect(path.commands.send(command, data, {})).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('with too much data are a TypeError', async () => {
    const { open } = await bed()
    const path = await open()
    const send = path.commands.send({ admin: false, opcode: 2, nsid: 1 }, 2 ** 25, {})
    await expect(send).rejects.toThrow('at most 16 MiB')
  })
})

test('a namespace that grows or is protected is noticed', async () => {
  const { array, open, devices } = await bed()
  const path = await open()
  const sizes: number[] = []
  path.events.on('limits', ({ size }) => sizes.push(size))
  const grown = Object.create(devices[0]!, {
    limits: { get: () => ({ ...devices[0]!.limits, size: 2 ** 21, readOnly: true }) },
  })
  const { volume } = path
  await array.map({ nsid: 1, volume, device: grown })
  await expect.poll(() => path.limits).toMatchObject({ size: 2 ** 21, readOnly: true })
  expect(sizes).toEqual([2 ** 21])
})

test('a namespace that hangs holds up no other one, and its path is closed with a proof', async () => {
  const { array, open } = await bed({ sizes: ['1MiB', '1MiB'], array: { ports: [{}] } })
  const [one, other] = [await open(0, 1), await open(0, 2)]
  array.faults.command({ opcode: WRITE, nsid: 1, hangs: true })
  const stuck = write(one, 1)
  expect(await write(other, 2)).toBe(OK)
  const closing = one.close()
  expect(await stuck).toSatisfy(isPathError)
  await closing
  expect(one.fencedBy).toMatchObject({ by: 'controller disabled', assumed: false })
  // Nothing else proves it: what is beside it on that controller ends with it, and is connected to anew.
  expect(other.failure).toBeDefined()
})

test('a namespace that hangs with more than the queue takes leaves room to one that was idle until then', async () => {
  const { array, open } = await bed({ sizes: ['1MiB', '1MiB'], array: { ports: [{}] } })
  const [one, other] = [await open(0, 1), await open(0, 2)]
  array.faults.command({ opcode: WRITE, nsid: 1, hangs: true })
  const stuck = Array.from({ length: 300 }, () => write(one, 1))
  const rest = await Promise.all(Array.from({ length: 100 }, () => write(other, 2)))
  expect(rest.every((status) => status === OK)).toBe(true)
  await one.close()
  expect((await Promise.all(stuck)).every(isPathError)).toBe(true)
})
