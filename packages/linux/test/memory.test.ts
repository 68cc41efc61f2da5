import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { LinuxError, mapFile, mapMemory } from '../src/index.ts'

it('maps zeroed memory, page aligned', () => {
  const mapping = mapMemory(10_000)
  expect(mapping.length).toBe(10_000)
  expect(mapping.address % 4096).toBe(0)
  const bytes = new Uint8Array(mapping.buffer)
  expect(bytes.length).toBe(10_000)
  expect(bytes.every((byte) => byte === 0)).toBe(true)
  bytes.fill(7)
  expect(bytes[9999]).toBe(7)
  mapping.unmap()
})

const hasHugePages = existsSync('/sys/kernel/mm/transparent_hugepage')

it.skipIf(!hasHugePages)('takes memory page by page, also where the host makes huge pages of all memory', async () => {
  const mapping = mapMemory(8 * 2 ** 20)
  const areas = (await readFile('/proc/self/smaps', 'latin1')).split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  const area = areas.find((text) => {
    const [from = 0, to = 0] = text
      .slice(0, text.indexOf(' '))
      .split('-')
      .map((end) => Number.parseInt(end, 16))
    return from <= mapping.address && mapping.address < to
  })
  expect(area).toMatch(/^VmFlags:.* nh( |$)/m)
  mapping.unmap()
})

it('leaves views of length 0 after unmap, which may be repeated', () => {
  const mapping = mapMemory(8192)
  const bytes = new Uint8Array(mapping.buffer, 100, 200)
  const buffer = Buffer.from(mapping.buffer)
  mapping.unmap()
  mapping.unmap()
  expect(mapping.buffer.byteLength).toBe(0)
  expect(bytes.length).toBe(0)
  expect(buffer.length).toBe(0)
  expect(bytes[0]).toBeUndefined()
  bytes[0] = 1
  expect(() => buffer.readUInt8(0)).toThrow(RangeError)
})

it('keeps memory that has moved to another ArrayBuffer', () => {
  const mapping = mapMemory(4096)
  new Uint8Array(mapping.buffer)[1] = 5
  const moved = (mapping.buffer as ArrayBuffer & { transfer(): ArrayBuffer }).transfer()
  mapping.unmap()
  expect(new Uint8Array(moved)[1]).toBe(5)
})

it('shares a file', async () => {
  const path = join(tmpdir(), `blockbraid-linux-${process.pid}`)
  const content = randomBytes(3 * 4096)
  await writeFile(path, content)
  const file = await open(path, 'r+')
  const mapping = mapFile(file.fd, 4096, 4096, { write: true })
  const bytes = Buffer.from(mapping.buffer)
  expect(bytes.equals(content.subarray(4096, 8192))).toBe(true)
  bytes.fill(0x55)
  expect((await readFile(path))[4096]).toBe(0x55)
  await file.write(Buffer.of(0x66), 0, 1, 8191)
  expect(bytes[4095]).toBe(0x66)
  mapping.unmap()
  const readOnly = mapFile(file.fd, 0, 4096)
  expect(new Uint8Array(readOnly.buffer)[0]).toBe(content[0])
  readOnly.unmap()
  expect(() => mapFile(file.fd, 1, 4096)).toThrow(expect.objectContaining({ code: 'EINVAL', syscall: 'mmap' }))
  await file.close()
  await rm(path)
})

it('gives errnos as LinuxErrors', () => {
  expect(() => mapFile(1_000_000, 0, 4096)).toThrow(expect.objectContaining({ code: 'EBADF', errno: 9 }))
  expect(() => mapMemory(2 ** 46)).toThrow(LinuxError)
  // Larger than address space on no machine, larger than an ArrayBuffer may be on some.
  expect(() => mapMemory(2 ** 45).unmap()).toSatisfy((run: () => void) => {
    try {
      run()
    } catch (error) {
      return error instanceof Error
    }
    return true
  })
})

it('names wrong arguments', () => {
  expect(() => mapMemory(0)).toThrow(new TypeError('length is 0, must be an integer from 1 to 70368744177664'))
  expect(() => mapMemory('1' as never)).toThrow(/^length is '1', must be/)
  expect(() => mapFile(-1, 0, 1)).toThrow(/^fd is -1, must be/)
  expect(() => mapFile(0, -1, 1)).toThrow(/^offset is -1, must be/)
  expect(() => mapFile(0, 0, 1.5)).toThrow(/^length is 1.5, must be/)
})
