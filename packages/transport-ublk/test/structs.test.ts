// Bytes as a C compiler lays out the structs of linux/ublk_cmd.h and linux/io_uring.h.
import { expect, test } from 'vitest'
import { Command, commandName, legacyOpcode, QueueCommand } from '../src/protocol.ts'
import {
  decodeInfo,
  decodeParameters,
  descriptorBytes,
  descriptorOffset,
  encodeInfo,
  encodeParameters,
  writeControlCommand,
  writeQueueCommand,
} from '../src/structs.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test('struct ublksrv_ctrl_dev_info', () => {
  const info = {
    queues: 0x0102,
    depth: 0x0304,
    state: 2,
    maxIoBytes: 0x11223344,
    id: 0x55667788,
    pid: -2,
    flags: 0x00041458,
    volumeHash: 0x99887766,
    nameHash: 0xaabbccdd,
  }
  const bytes = encodeInfo(info)
  expect(hex(bytes)).toBe(
    '02010403020000004433221188776655feffffff00000000581404000000000066778899ddccbbaa000000000000000000000000000000000000000000000000',
  )
  expect(decodeInfo(bytes)).toEqual(info)
})

test('struct ublk_params: header, basic, discard', () => {
  const parameters = {
    attributes: 0x0c,
    logicalBlockShift: 9,
    physicalBlockShift: 12,
    optimalIoShift: 16,
    minimumIoShift: 13,
    maxSectors: 0x01020304,
    sectors: 0x0506070809,
    discardGranularity: 0x2000,
    maxDiscardSectors: 0x0a0b0c0d,
    maxWriteZeroesSectors: 0x0e0f1011,
  }
  const bytes = encodeParameters(parameters, 3)
  expect(hex(bytes)).toBe(
    '3c000000030000000c000000090c100d04030201000000000908070605000000000000000000000000000000002000000d0c0b0a11100f0e01000000',
  )
  expect(decodeParameters(bytes)).toEqual(parameters)
})

test('struct ublksrv_ctrl_cmd, in a 128-byte entry behind another', () => {
  const words = new Uint32Array(64)
  writeControlCommand(words, 32, 7, 9, {
    opcode: Command.AddDevice,
    device: 0x01020304,
    address: 0x7f0102030405,
    length: 0x0506,
    data: 0x0a0b0c0d0e,
    pathLength: 0x0708,
  })
  const bytes = new Uint8Array(words.buffer)
  expect(bytes.subarray(0, 128).every((byte) => byte === 0)).toBe(true)
  const entry = bytes.subarray(128)
  expect(hex(entry.subarray(0, 12))).toBe('2e00000007000000047520c0')
  expect(hex(entry.subarray(32, 40))).toBe('0900000000000000')
  expect(hex(entry.subarray(48, 80))).toBe('04030201ffff060505040302017f00000e0d0c0b0a0000000807000000000000')
  expect(entry.subarray(80).every((byte) => byte === 0)).toBe(true)
})

test('struct ublksrv_io_cmd, in a 64-byte entry', () => {
  const words = new Uint32Array(32)
  writeQueueCommand(words, 16, 7, QueueCommand.CommitAndFetch, 0x0102, 0x0304, -5, 0x02030405, 0x7f01)
  const entry = new Uint8Array(words.buffer).subarray(64)
  expect(hex(entry.subarray(0, 12))).toBe('2e00000007000000217510c0')
  expect(hex(entry.subarray(32, 40))).toBe('0403000000000000')
  expect(hex(entry.subarray(48))).toBe('02010403fbffffff05040302017f0000')
})

test('opcodes', () => {
  const numbers = Object.entries(Command).map(([name, value]) => [name, value.toString(16)])
  expect(Object.fromEntries(numbers)).toEqual({
    GetInfo: '80207502',
    AddDevice: 'c0207504',
    DeleteDevice: 'c0207505',
    StartDevice: 'c0207506',
    StopDevice: 'c0207507',
    SetParameters: 'c0207508',
    GetParameters: '80207509',
    StartRecovery: 'c0207510',
    EndRecovery: 'c0207511',
    GetInfo2: '80207512',
    GetFeatures: '80207513',
    DeleteDeviceAsync: '80207514',
    UpdateSize: 'c0207515',
    QuiesceDevice: 'c0207516',
  })
  expect(QueueCommand.Fetch).toBe(0xc0107520)
  expect(legacyOpcode(QueueCommand.Fetch)).toBe(0x20)
  expect(legacyOpcode(Command.EndRecovery)).toBe(0x11)
  expect(commandName(Command.EndRecovery)).toBe('EndRecovery')
  expect(commandName(1)).toBe('command 0x1')
})

test('the descriptors of a queue are whole pages, as far apart as those of the deepest queue', () => {
  expect(descriptorBytes(1, 4096)).toBe(4096)
  expect(descriptorBytes(170, 4096)).toBe(4096)
  expect(descriptorBytes(171, 4096)).toBe(8192)
  expect(descriptorOffset(0, 4096)).toBe(0)
  expect(descriptorOffset(2, 4096)).toBe(2 * 98304)
  expect(descriptorOffset(1, 65536)).toBe(131072)
})
