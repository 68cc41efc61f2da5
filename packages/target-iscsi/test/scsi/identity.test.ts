import { isVolumeId } from '@blockbraid/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Designator } from '../../src/scsi/designators.ts'
import { volumeIdOf } from '../../src/scsi/identity.ts'
import type { Inquiry } from '../../src/scsi/inquiry.ts'
import { decodeInquiry } from '../../src/scsi/inquiry.ts'
import { decodeIdentification } from '../../src/scsi/vpd.ts'
import { bytes, identificationPage, inquiryDisk, text } from './vectors.ts'

/** A designator of a logical unit. */
function unit(type: number, codeSet: number, raw: Uint8Array, association = 0): Designator {
  return { association, codeSet, type, protocol: undefined, bytes: raw, text: '' }
}

const naa = (hex: string): Designator => unit(3, 1, bytes(hex))
const eui = (hex: string): Designator => unit(2, 1, bytes(hex))
const uuid = (hex: string): Designator => unit(0xa, 1, bytes(`1000${hex}`))
const name = (value: string): Designator => unit(8, 3, bytes(text(value)))
const t10 = (value: string): Designator => unit(1, 2, bytes(text(value)))

const NAA6 = '6001405a1b2c3d4e5f60718293a4b5c6'
const NAA5 = '5001405a1b2c3d4e'
const NAA2 = '2001405a1b2c3d4e'
const NAA3 = '3001405a1b2c3d4e'
const EUI = '0123456789abcdef'
const UUID = '0123456789abcdef0011223344556677'
const UUID_TEXT = '01234567-89ab-cdef-0011-223344556677'

const disk: Inquiry = decodeInquiry(inquiryDisk)
const serial = (value: string): Uint8Array => bytes(text(value))

describe('the identity of a logical unit', () => {
  it.each<[string, Designator[], string | undefined]>([
    ['NAA 6', [naa(NAA6)], `naa.${NAA6}`],
    ['NAA 5', [naa(NAA5)], `naa.${NAA5}`],
    ['NAA 2', [naa(NAA2)], `naa.${NAA2}`],
    ['NAA 3', [naa(NAA3)], `naa.${NAA3}`],
    ['EUI-64', [eui(EUI)], `eui.${EUI}`],
    ['EUI-64 of 12 bytes', [eui(`${EUI}00000001`)], `eui.${EUI}00000001`],
    ['EUI-64 of 16 bytes', [eui(EUI + EUI)], `eui.${EUI}${EUI}`],
    ['UUID', [uuid(UUID)], `uuid.${UUID_TEXT}`],
    ['name string, naa', [name(`naa.${NAA6.toUpperCase()}\0\0`)], `naa.${NAA6}`],
    ['name string, eui', [name(`eui.${EUI.toUpperCase()}`)], `eui.${EUI}`],
    ['name string, uuid', [name(`uuid.${UUID_TEXT.toUpperCase()}\0\0\0`)], `uuid.${UUID_TEXT}`],
    ['name string, iqn', [name('iqn.2003-01.org.x:lun1')], undefined],
    ['name string, t10', [name('t10.LIO-ORG')], undefined],
    ['T10', [t10('IET     00010001\0\0\0\0')], 't10.IET     00010001'],
    ['T10, odd bytes', [t10('        a!%b\xff\x7f\x07~ c ')], 't10.%20       a!%25b%ff%7f%07~ c'],
    ['T10, binary', [unit(1, 1, bytes(`${text('VENDOR', 8)}010020`))], 't10.VENDOR  %01%00%20'],
    ['NAA of another kind', [naa('4001405a1b2c3d4e')], undefined],
    ['NAA of a wrong length', [naa(NAA5 + NAA5), naa(NAA6.slice(0, 16)), naa('60'), naa('')], undefined],
    ['NAA in another code set', [unit(3, 2, bytes(NAA6))], undefined],
    ['NAA name strings of a wrong length', [name(`naa.${NAA5}${NAA5}`), name(`naa.${NAA6.slice(0, 16)}`)], undefined],
    ['EUI-64 of a wrong length', [eui(`${EUI}00`), eui('')], undefined],
    ['UUID of another kind', [unit(0xa, 1, bytes(`2000${UUID}`)), unit(0xa, 1, bytes(UUID))], undefined],
    ['name of a port', [unit(3, 1, bytes(NAA6), 1)], undefined],
    ['name of a target device', [unit(3, 1, bytes(NAA6), 2)], undefined],
    ['vendor-specific, group and MD5', [unit(0, 2, serial('abc')), unit(6, 1, bytes('00000001'))], undefined],
    ['nothing', [], undefined],
  ])('from %s', (_what, designators, id) => {
    expect(volumeIdOf(designators, undefined, undefined)).toBe(id)
  })

  it.each<[string, Designator]>([
    ['NAA 6 of zeroes', naa('60000000000000000000000000000000')],
    ['NAA 6 of ones', naa('6fffffffffffffffffffffffffffffff')],
    ['NAA 5 of zeroes', naa('5000000000000000')],
    ['EUI-64 of zeroes', eui('0000000000000000')],
    ['EUI-64 of ones', eui('ffffffffffffffff')],
    ['UUID of zeroes', uuid('00000000000000000000000000000000')],
    ['UUID of ones', uuid('ffffffffffffffffffffffffffffffff')],
    ['name string of zeroes', name('eui.0000000000000000')],
    ['empty T10', unit(1, 2, new Uint8Array(0))],
    ['blank T10', t10(' '.repeat(24))],
    ['T10 of a vendor alone', t10('VENDOR')],
    ['T10 of a vendor and blanks', t10('VENDOR          \0\0')],
    ['T10 of a vendor and zeroes', t10('VENDOR  00000000')],
    ['T10 of a vendor and unwritten bytes', t10('VENDOR  \xff\xff\xff')],
  ])('does not come from a %s', (_what, designator) => {
    expect(volumeIdOf([designator], undefined, undefined)).toBeUndefined()
    expect(volumeIdOf([designator], serial('beaf11'), disk)).toBe('serial.LIO-ORG disk0           beaf11')
  })

  it('is of the best kind there is, in any order', () => {
    const order: [Designator, string][] = [
      [naa(NAA6), `naa.${NAA6}`],
      [naa(NAA5), `naa.${NAA5}`],
      [naa(NAA2), `naa.${NAA2}`],
      [eui(EUI), `eui.${EUI}`],
      [uuid(UUID), `uuid.${UUID_TEXT}`],
      [naa(NAA3), `naa.${NAA3}`],
      [t10('IET     00010001'), 't10.IET     00010001'],
    ]
    for (let from = 0; from < order.length; from++) {
      const designators = order.slice(from).map(([designator]) => designator)
      fc.assert(
        fc.property(fc.shuffledSubarray(designators, { minLength: designators.length }), (mixed) => {
          expect(volumeIdOf(mixed, serial('beaf11'), disk)).toBe(order[from]![1])
        }),
        { numRuns: 30 },
      )
    }
  })

  it('is the first of several of one kind, in any order', () => {
    const two = [naa(NAA6), naa(NAA6.replace('a', 'b'))]
    expect(volumeIdOf(two, undefined, undefined)).toBe(`naa.${NAA6}`)
    expect(volumeIdOf(two.toReversed(), undefined, undefined)).toBe(`naa.${NAA6}`)
  })

  it('is the same for a designator and for its name string', () => {
    expect(volumeIdOf([naa(NAA6), name(`naa.${NAA6.toUpperCase()}`)], undefined, undefined)).toBe(`naa.${NAA6}`)
  })

  it('comes from a whole page', () => {
    expect(volumeIdOf(decodeIdentification(identificationPage), undefined, undefined)).toBe(`naa.${NAA6}`)
  })

  it('falls back to vendor, product and serial number', () => {
    expect(volumeIdOf([], serial('beaf11  '), disk)).toBe('serial.LIO-ORG disk0           beaf11')
    expect(volumeIdOf([], serial(' 1'), disk)).toBe('serial.LIO-ORG disk0            1')
    const short = decodeInquiry(bytes('00 00 05 02 00'))
    expect(volumeIdOf([], serial('x'), short)).toBe(`serial.%20${' '.repeat(23)}x`)
  })

  it.each(['', '    ', '\0\0\0', '0000', '00 00', '\xff\xff'])('has no serial number in %j', (value) => {
    expect(volumeIdOf([], serial(value), disk)).toBeUndefined()
  })

  it('needs the INQUIRY data beside the serial number', () => {
    expect(volumeIdOf([], serial('beaf11'), undefined)).toBeUndefined()
    expect(volumeIdOf([], undefined, disk)).toBeUndefined()
  })

  it('of a long text keeps what differs behind the cut', () => {
    const [a, b] = ['a', 'b'].map((end) => volumeIdOf([t10(`VENDOR  ${'x'.repeat(240)}${end}`)], undefined, undefined))
    expect(a).toMatch(/^t10\.VENDOR {2}x{150}%#[0-9a-f]{64}$/)
    expect(b).toMatch(/^t10\.VENDOR {2}x{150}%#[0-9a-f]{64}$/)
    expect(a).not.toBe(b)
    const limit = volumeIdOf([t10(`VENDOR  ${'x'.repeat(216)}`)], undefined, undefined)
    expect(limit).toBe(`t10.VENDOR  ${'x'.repeat(216)}`)
  })
})

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ minLength: 200, maxLength: 255 }),
  fc.constantFrom(8, 12, 16, 18).chain((length) => fc.uint8Array({ minLength: length, maxLength: length })),
  fc.constantFrom(NAA6, NAA5, NAA2, NAA3, EUI, `1000${UUID}`).map(bytes),
  fc.constantFrom(`naa.${NAA6}`, `NAA.${NAA5}`, `eui.${EUI}`, `uuid.${UUID_TEXT}`).map((value) => bytes(text(value))),
  fc.string({ maxLength: 30 }).map((value) => bytes(text(value))),
)

/** Texts of few letters, so that near ones meet. */
const nearBytes = fc
  .array(fc.constantFrom(0x00, 0x20, 0x25, 0x30, 0x32, 0x41, 0xff), { maxLength: 5 })
  .map((tail) => Uint8Array.from([...Buffer.from('VENDOR  '), ...tail]))

const anyDesignator = fc
  .tuple(fc.nat(2), fc.nat(4), fc.nat(12), anyBytes)
  .map(([association, codeSet, type, raw]) => unit(type, codeSet, raw, association))

function trimmed(raw: Uint8Array): string {
  return Buffer.from(raw)
    .toString('latin1')
    .replace(/[ \0]+$/, '')
}

describe('identities of any designators', () => {
  it('are what core takes, or none, and do not depend on the order', () => {
    fc.assert(
      fc.property(
        fc.array(anyDesignator, { maxLength: 6 }),
        fc.option(anyBytes, { nil: undefined }),
        fc.option(anyBytes, { nil: undefined }),
        (designators, number, raw) => {
          const inquiry = raw === undefined ? undefined : { ...disk, id: raw.subarray(0, 24) }
          const id = volumeIdOf(designators, number, inquiry)
          if (id !== undefined && !isVolumeId(id)) throw new Error(`${id} is no identity`)
          expect(volumeIdOf(designators.toReversed(), number, inquiry)).toBe(id)
        },
      ),
      { numRuns: 5000 },
    )
  })

  it('are different for different T10 designators, whose padding does not count', () => {
    const seen = new Map<string, string>()
    fc.assert(
      fc.property(fc.oneof(nearBytes, anyBytes), fc.boolean(), (raw, binary) => {
        const id = volumeIdOf([unit(1, binary ? 1 : 2, raw)], undefined, undefined)
        if (id === undefined) return
        const source = binary ? Buffer.from(raw).toString('latin1') : trimmed(raw)
        expect(seen.get(id) ?? source).toBe(source)
        seen.set(id, source)
      }),
      { numRuns: 10_000 },
    )
    expect(new Set(seen.values()).size).toBe(seen.size)
  })

  it('are different for different products or serial numbers, whose padding does not count', () => {
    const seen = new Map<string, string>()
    fc.assert(
      fc.property(nearBytes, fc.oneof(nearBytes, anyBytes), (product, number) => {
        const id = volumeIdOf([], number, { ...disk, id: product })
        if (id === undefined) return
        const source = `${Buffer.from(product).toString('latin1').padEnd(24)}|${trimmed(number)}`
        expect(seen.get(id) ?? source).toBe(source)
        seen.set(id, source)
      }),
      { numRuns: 10_000 },
    )
    expect(new Set(seen.values()).size).toBe(seen.size)
  })

  it('are different for different designators of every other kind', () => {
    const seen = new Map<string, string>()
    const kinds = fc.constantFrom<[number, number]>([3, 8], [3, 16], [2, 8], [2, 12], [2, 16], [0xa, 18])
    const one = kinds.chain(([type, length]) =>
      fc
        .array(fc.constantFrom(0x10, 0x20, 0x60, 0x61, 0x00), { minLength: length, maxLength: length })
        .map((raw) => unit(type, 1, Uint8Array.from(raw))),
    )
    fc.assert(
      fc.property(one, (designator) => {
        const id = volumeIdOf([designator], undefined, undefined)
        if (id === undefined) return
        // The first two bytes of a UUID designator are its kind and reserved.
        const told = designator.type === 0xa ? designator.bytes.subarray(2) : designator.bytes
        const source = `${designator.type}.${Buffer.from(told).toString('hex')}`
        expect(seen.get(id) ?? source).toBe(source)
        seen.set(id, source)
      }),
      { numRuns: 10_000 },
    )
    expect(seen.size).toBeGreaterThan(1000)
  })
})
