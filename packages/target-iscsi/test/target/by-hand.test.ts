import { expect, test } from 'vitest'
import { sendScsi } from '../../src/scsi/send.ts'
import { BLOCK, bed } from './bed.ts'

const TEST_UNIT_READY = 0

test.each([6, 10, 12, 16])('a command by hand of %i bytes is sent', async (bytes) => {
  const { open } = await bed()
  const path = await open()
  const cdb = Buffer.alloc(bytes)
  expect(cdb[0]).toBe(TEST_UNIT_READY)
  expect((await sendScsi(path, cdb)).status).toBe(0)
})

test.each([17, 32, 260])('a command by hand of %i bytes is not supported', async (bytes) => {
  const { open } = await bed()
  const path = await open()
  await expect(sendScsi(path, Buffer.alloc(bytes))).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
})

test.each([0, 5, 261])('a command by hand of %i bytes is none', async (bytes) => {
  const { open } = await bed()
  const path = await open()
  const failure = await sendScsi(path, Buffer.alloc(bytes)).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(TypeError)
  expect((failure as TypeError).message).toContain(`cdb has ${bytes} bytes`)
})

test.each([-1, 0.5, 2 ** 24 + 1])('a command by hand cannot receive %d bytes', async (bytes) => {
  const { open } = await bed()
  const path = await open()
  await expect(sendScsi(path, Buffer.alloc(6), bytes)).rejects.toBeInstanceOf(TypeError)
  expect((await sendScsi(path, Buffer.from([0x12, 0, 0, 0, 36, 0]), BLOCK)).data.length).toBe(36)
})
