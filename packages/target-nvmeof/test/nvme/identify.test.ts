import { describe, expect, it } from 'vitest'
import { decodeController, decodeNvmLimits } from '../../src/nvme/controller-data.ts'
import { decodeDescriptors } from '../../src/nvme/descriptors.ts'
import { namespaceIdOf } from '../../src/nvme/identity.ts'
import { decodeNamespace } from '../../src/nvme/namespace-data.ts'
import { decodeNamespaceList } from '../../src/nvme/namespace-list.ts'
import { configuration, decodeCapabilities, decodeStatus, Shutdown, versionText } from '../../src/nvme/properties.ts'
import { controllerBytes, descriptorBytes, namespaceBytes, namespaceList } from './layouts.ts'

describe('Identify Controller', () => {
  it('is read field by field', () => {
    expect(decodeController(controllerBytes())).toMatchObject({
      id: 0x1234,
      model: 'blockbraid test',
      serial: 'S1',
      firmware: '1.0',
      subNqn: 'nqn.2026-11.io.blockbraid:array',
      version: 0x20100,
      type: 1,
      ana: true,
      severalPorts: true,
      severalControllers: true,
      transitionTime: 10,
      anaGroups: 16,
      maxTransfer: 5,
      trafficBased: true,
      keepAliveGranularity: 100,
      quiesceTime: 1500,
      crossResets: 4,
      instance: 7,
      instanceRandom: '0123456789abcdef',
      retryDelays: [100, 200, 300],
      eventLimit: 4,
      logOffsets: true,
      maxCommands: 128,
      namespaces: 1024,
      deallocate: true,
      writeZeroes: true,
      reservations: false,
      writeCache: true,
      commandCapsule: 8256,
      responseCapsule: 16,
      capsuleOffset: 0,
    })
  })

  it('that is cut is refused', () => {
    expect(() => decodeController(new Uint8Array(4095))).toThrow(
      'Identify Controller of 4095 bytes is too short, it has at least 4096',
    )
  })

  it('with anything in its texts can be shown', () => {
    const { model, serial } = decodeController(new Uint8Array(4096).fill(0x1b))
    expect([model, serial]).toEqual(['?'.repeat(40), '?'.repeat(20)])
  })
})

it('limits of the NVM command set are read', () => {
  const bytes = new Uint8Array(4096)
  bytes.set([3, 4, 0, 16, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0])
  expect(decodeNvmLimits(bytes)).toEqual({
    verify: 3,
    writeZeroes: 4,
    ranges: 16,
    rangeBlocks: 256,
    blocks: 2 ** 33 - 1,
  })
})

describe('Identify Namespace', () => {
  it('is read field by field', () => {
    const bytes = namespaceBytes({ blocks: 2 ** 33, shift: 12, metadata: 8 })
    bytes[24] = 0x13
    bytes[30] = 1
    bytes[33] = 9
    bytes[36] = 7
    bytes[46] = 64
    bytes[64] = 3
    bytes[92] = 5
    bytes[99] = 1
    expect(decodeNamespace(bytes)).toMatchObject({
      blocks: 2 ** 33,
      blockShift: 12,
      metadata: 8,
      protection: 0,
      thin: true,
      shared: true,
      zeroesRead: true,
      zeroesDeallocate: true,
      atomicBlocks: 8,
      boundary: 64,
      writeBlocks: 4,
      deallocateBlocks: 1,
      anaGroup: 5,
      readOnly: true,
    })
  })

  it('finds a format above the sixteenth', () => {
    const bytes = namespaceBytes()
    bytes[26] = 0x61 // bits 6:5 are 3, bits 3:0 are 1: number 49
    bytes[128 + 4 * 49 + 2] = 12
    expect(decodeNamespace(bytes).blockShift).toBe(12)
  })

  it('of an absurd size is above what a number holds, and not below', () => {
    const bytes = namespaceBytes()
    bytes.fill(0xff, 0, 8)
    expect(decodeNamespace(bytes).blocks).toBeGreaterThan(Number.MAX_SAFE_INTEGER)
  })
})

describe('a namespace list', () => {
  it('ends with 0', () => {
    expect(decodeNamespaceList(namespaceList(1, 5, 7))).toEqual([1, 5, 7])
    expect(decodeNamespaceList(namespaceList())).toEqual([])
  })

  it('of changes can say that there were too many', () => {
    expect(decodeNamespaceList(namespaceList(0xffff_ffff))).toBeUndefined()
  })

  it.each([
    [[5, 5], 0, 'a namespace list has 5 after 5; NSIDs must ascend'],
    [[5, 3], 0, 'a namespace list has 3 after 5; NSIDs must ascend'],
    [[5], 5, 'a namespace list has 5 after 5; NSIDs must ascend'],
  ])('that does not ascend is refused: %j after %i', (list, after, message) => {
    expect(() => decodeNamespaceList(namespaceList(...list), after)).toThrow(message)
  })
})

describe('the identity of a namespace', () => {
  const eui64 = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7)
  const nguid = Uint8Array.from({ length: 16 }, (_, index) => 0x10 + index)
  const uuid = Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index)
  const none = decodeNamespace(namespaceBytes())
  const idOf = (descriptors: Uint8Array) => namespaceIdOf(none, decodeDescriptors(descriptors))

  it('is its UUID, else its NGUID, else its EUI-64', () => {
    const all = descriptorBytes([1, eui64], [2, nguid], [3, uuid], [4, Uint8Array.of(0)])
    expect(idOf(all)).toBe('uuid.a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf')
    expect(idOf(descriptorBytes([1, eui64], [2, nguid]))).toBe('eui.101112131415161718191a1b1c1d1e1f')
    expect(idOf(descriptorBytes([1, eui64]))).toBe('eui.0001020304050607')
  })

  it('that nobody has written is none', () => {
    expect(idOf(descriptorBytes([3, new Uint8Array(16)], [1, eui64]))).toBe('eui.0001020304050607')
    expect(idOf(descriptorBytes([3, new Uint8Array(16).fill(0xff)]))).toBeUndefined()
    expect(idOf(descriptorBytes())).toBeUndefined()
  })

  it('is taken from Identify Namespace where the descriptors have none', () => {
    const bytes = namespaceBytes({ nguid })
    expect(namespaceIdOf(decodeNamespace(bytes), decodeDescriptors(descriptorBytes()))).toBe(
      'eui.101112131415161718191a1b1c1d1e1f',
    )
  })

  it('that changed between two reads is refused', () => {
    const bytes = namespaceBytes({ nguid })
    expect(() => namespaceIdOf(decodeNamespace(bytes), decodeDescriptors(descriptorBytes([2, uuid])))).toThrow(
      /^the namespace tells two values of its NGUID, 1011.*1f and a0a1.*af: it changed while it was read$/,
    )
  })

  it('passes over descriptors that are not known', () => {
    expect(idOf(descriptorBytes([9, Uint8Array.of(1, 2, 3)], [1, eui64]))).toBe('eui.0001020304050607')
  })

  it.each([
    ['too short', [1, Uint8Array.of(1, 2)] as [number, Uint8Array], 'type 1 has 2 bytes at 0; it must have 8'],
    ['too long', [3, new Uint8Array(17).fill(1)] as [number, Uint8Array], 'type 3 has 17 bytes at 0; it must have 16'],
    ['empty', [9, new Uint8Array(0)] as [number, Uint8Array], 'type 9 has 0 bytes at 0; it must have some'],
  ])('with a descriptor that is %s is refused', (_name, descriptor, message) => {
    expect(() => idOf(descriptorBytes(descriptor))).toThrow(`a namespace identification descriptor of ${message}`)
  })

  it('with a descriptor past the end is refused', () => {
    const bytes = new Uint8Array(4096)
    for (let at = 0; at + 4 <= 4096; at += 259) bytes.set([9, 255], at)
    expect(() => decodeDescriptors(bytes)).toThrow('of type 9 has 255 bytes at 3885; it must have 255')
  })
})

describe('properties', () => {
  const cap = (result: number, resultHigh: number) =>
    decodeCapabilities({ status: 0, result, resultHigh, data: new Uint8Array(0) })

  it('CAP is read, and CC fits it', () => {
    const nvm = cap(0x0f01_03ff, 0x0000_0020)
    expect(nvm).toEqual({
      queueEntries: 1024,
      readyTimeout: 7500,
      leastPage: 0,
      largestPage: 0,
      nvm: true,
      everySet: false,
    })
    expect(configuration(nvm).toString(16)).toBe('460001')
    expect(configuration(nvm, Shutdown.Normal).toString(16)).toBe('464001')
    const other = cap(0, 0x0041_0800)
    expect(other).toMatchObject({ readyTimeout: 500, leastPage: 1, largestPage: 4, nvm: false, everySet: true })
    expect(configuration(other).toString(16)).toBe('4600e1')
  })

  it('CSTS is read', () => {
    expect(decodeStatus(0)).toEqual({ ready: false, fatal: false, shutdown: 0 })
    expect(decodeStatus(0b1011)).toEqual({ ready: true, fatal: true, shutdown: 2 })
  })

  it('a version is text', () => {
    expect([0x20100, 0x10400, 0x10201].map(versionText)).toEqual(['2.1', '1.4', '1.2.1'])
  })
})
