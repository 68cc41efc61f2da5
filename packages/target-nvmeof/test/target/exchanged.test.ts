import { isPathError, OK, PATH_ERROR } from '@blockbraid/core'
import { describe, expect, test } from 'vitest'
import type { NvmePath } from '../../src/path/path.ts'
import { bed, device, read, volumeAt, write } from './bed.ts'

function downOf(path: NvmePath): Promise<Error> {
  return new Promise((resolve) => path.events.on('down', resolve))
}

const IDENTIFY = 0x06
const GET_LOG = 0x02

describe('an NSID that leads to another volume', () => {
  test('ends the path, and nothing is written there any more', async () => {
    const { array, open } = await bed()
    const path = await open()
    const down = downOf(path)
    expect(await write(path, 0xaa)).toBe(OK)
    const other = await device()
    await array.map({ nsid: 1, volume: volumeAt(7), device: other })
    expect(await down).toMatchObject({ code: 'IDENTITY_CHANGED', message: expect.stringContaining(volumeAt(7)) })
    expect(await write(path, 0xbb)).toSatisfy(isPathError)
    expect(await read(other)).toBe(0)
    await path.close()
  })

  test('is refused when it is connected to', async () => {
    const { array, target, info } = await bed()
    const before = await info()
    await array.map({ nsid: 1, volume: volumeAt(7), device: await device() })
    await expect(target.connect(before)).rejects.toMatchObject({ code: 'IDENTITY_CHANGED' })
  })

  test('is found out by an idle path though nobody tells', async () => {
    const { array, open } = await bed({ initiator: { pollInterval: 30 } })
    const path = await open()
    const down = downOf(path)
    // Events and their log say that nothing has changed.
    array.faults.command({
      admin: true,
      opcode: GET_LOG,
      data: (data) => (data.length === 4096 ? Buffer.alloc(4096) : data),
    })
    await array.map({ nsid: 1, volume: volumeAt(7), device: await device() })
    expect(await down).toMatchObject({ code: 'IDENTITY_CHANGED' })
    await path.close()
  })

  test('what was answered while it was in doubt who answers is not acknowledged', async () => {
    const { array, open } = await bed()
    const path = await open()
    const down = downOf(path)
    const held = array.faults.command({ admin: true, opcode: IDENTIFY, nsid: 1, holds: true })
    const first = array.faults.command({ opcode: 0x01, holds: true })
    const doubted = write(path, 1)
    await expect.poll(() => first.held).toBe(1)
    await array.map({ nsid: 1, volume: volumeAt(7), device: await device() })
    await expect.poll(() => held.held).toBeGreaterThan(0)
    first.release()
    first.remove()
    let ended = false
    void doubted.then(() => (ended = true))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(ended).toBe(false)
    held.remove()
    held.release()
    expect(await doubted).toSatisfy(isPathError)
    expect((await doubted) & PATH_ERROR).toBe(PATH_ERROR)
    expect(await down).toMatchObject({ code: 'IDENTITY_CHANGED' })
    await path.close()
  })

  test('with the same identity and another name beside it is another volume too', async () => {
    const ids = { uuid: volumeAt(0).slice(5), nguid: '0123456789abcdef0123456789abcdef' }
    const { array, open } = await bed({ namespace: () => ({ ids }), initiator: { pollInterval: 30 } })
    const path = await open()
    const down = downOf(path)
    const renamed = (data: Buffer): Buffer => {
      const changed = Buffer.from(data)
      const at = changed.indexOf(Buffer.from(ids.nguid, 'hex'))
      if (at >= 0) changed.fill(0xee, at, at + 16)
      return changed
    }
    array.faults.command({ admin: true, opcode: IDENTIFY, nsid: 1, data: renamed })
    expect(await down).toMatchObject({ code: 'IDENTITY_CHANGED', message: expect.stringContaining('tells the names') })
    await path.close()
  })
})

describe('a namespace that', () => {
  test('is taken away ends its path alone, and the target says that something changed', async () => {
    const { array, open, target } = await bed({ sizes: ['1MiB', '1MiB'] })
    const [one, other] = [await open(0, 1), await open(0, 2)]
    const down = downOf(one)
    const changed = new Promise((resolve) => target.events!.once('changed', resolve))
    await array.unmap(1)
    expect(await down).toMatchObject({ code: 'IDENTITY_CHANGED', message: expect.stringContaining('no namespace') })
    await changed
    expect(await write(other, 1)).toBe(OK)
    await one.close()
    expect(array.controllers).toHaveLength(1)
  })

  test('comes is told as a change, and found', async () => {
    const { array, open, target } = await bed()
    await open()
    const changed = new Promise((resolve) => target.events!.once('changed', resolve))
    await array.map({ nsid: 5, volume: volumeAt(5), device: await device() })
    await changed
    expect((await target.discover()).map(({ lun }) => lun)).toEqual(['1', '5'])
  })
})

test('an event that comes while a path is opened is not lost', async () => {
  const { array, target, info } = await bed()
  const before = await info()
  const held = array.faults.command({ admin: true, opcode: GET_LOG, holds: true })
  const opening = target.connect(before)
  await expect.poll(() => held.held, { timeout: 3000 }).toBeGreaterThan(0)
  await array.map({ nsid: 1, volume: volumeAt(7), device: await device() })
  held.remove()
  held.release()
  // Refused at once, or ended as soon as it is there.
  const path = await opening.catch((error: unknown) => error)
  if (path instanceof Error) expect(path).toMatchObject({ code: 'IDENTITY_CHANGED' })
  else expect(await downOf(path as NvmePath)).toMatchObject({ code: 'IDENTITY_CHANGED' })
})
