import { describe, expect, it } from 'vitest'
import { portOf } from '../../src/scsi/designators.ts'
import { decodeInquiry, deviceTypeName, isDisk } from '../../src/scsi/inquiry.ts'
import * as vpd from '../../src/scsi/vpd.ts'
import * as vectors from './vectors.ts'
import { bytes, text } from './vectors.ts'

describe('standard INQUIRY data', () => {
  it('of a disk', () => {
    const inquiry = decodeInquiry(vectors.inquiryDisk)
    expect(inquiry).toEqual({
      qualifier: 0,
      type: 0,
      removable: false,
      version: 6,
      tpgs: 3,
      thirdPartyCopy: true,
      protect: false,
      vendor: 'LIO-ORG',
      product: 'disk0',
      revision: '4.0',
      id: bytes(text('LIO-ORG', 8) + text('disk0', 16)),
    })
    expect(isDisk(inquiry)).toBe(true)
  })

  it('ends where it says', () => {
    const short = vectors.inquiryDisk.slice()
    short[4] = 17 - 5
    expect(decodeInquiry(short)).toMatchObject({ vendor: 'LIO-ORG', product: 'd', revision: '' })
    expect(decodeInquiry(short).id).toHaveLength(9)
  })

  it('of no logical unit', () => {
    const inquiry = decodeInquiry(bytes('7f 80 05 02 00'))
    expect(inquiry).toMatchObject({ qualifier: 3, type: 0x1f, removable: true, tpgs: 0, vendor: '', product: '' })
    expect(isDisk(inquiry)).toBe(false)
    expect(isDisk({ ...inquiry, type: 0 })).toBe(false)
    expect(isDisk({ ...inquiry, qualifier: 0 })).toBe(false)
    expect(deviceTypeName(inquiry.type)).toBe('no device')
    expect(deviceTypeName(0)).toBe('disk')
    expect(deviceTypeName(0x1b)).toBe('type 0x1b')
  })

  it('shows what a terminal would obey as question marks', () => {
    const hostile = bytes(
      `00 00 06 02 1f 00 00 00 ${text('\x1b[2J\x07\x9b', 8)} ${text('\x00a\x7fb', 16)} ${text('1', 4)}`,
    )
    expect(decodeInquiry(hostile)).toMatchObject({ vendor: '?[2J??', product: '?a?b', revision: '1' })
  })
})

describe('vital product data', () => {
  it('0x00: the pages', () => {
    expect(vpd.decodeSupportedPages(vectors.supportedPages)).toEqual([0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2])
  })

  it('0x80: the serial number', () => {
    expect(vpd.decodeSerial(vectors.serialPage)).toEqual({ bytes: bytes(text('beaf11', 8)), text: 'beaf11' })
  })

  it('0x83: designators', () => {
    const designators = vpd.decodeIdentification(vectors.identificationPage)
    expect(designators.map(({ bytes: _bytes, ...rest }) => rest)).toEqual([
      { association: 0, codeSet: 1, type: 3, protocol: undefined, text: 'naa.6001405a1b2c3d4e5f60718293a4b5c6' },
      { association: 0, codeSet: 2, type: 1, protocol: undefined, text: 't10.LIO-ORG disk0:01234567' },
      { association: 1, codeSet: 1, type: 4, protocol: 5, text: 'relative port 2' },
      { association: 1, codeSet: 1, type: 5, protocol: 5, text: 'port group 17' },
      { association: 1, codeSet: 3, type: 8, protocol: 5, text: 'iqn.2003-01.org.x:a,t,0x0001' },
    ])
    expect(designators[2]!.bytes).toEqual(bytes('00000002'))
    expect(portOf(designators)).toEqual({ relativePort: 2, portGroup: 17 })
  })

  it('0x83: a cut page has its whole designators', () => {
    const at = vectors.identificationPage.length - 1
    expect(vpd.decodeIdentification(vectors.identificationPage.subarray(0, at))).toHaveLength(4)
    expect(vpd.decodeIdentification(vectors.identificationPage.subarray(0, 23))).toHaveLength(0)
    expect(vpd.decodeIdentification(vectors.identificationPage.subarray(0, 24))).toHaveLength(1)
    expect(vpd.vpdLength(vectors.identificationPage.subarray(0, 24))).toBe(vectors.identificationPage.length)
    expect(vpd.vpdLength(vectors.identificationPage.subarray(0, 4))).toBe(vectors.identificationPage.length)
    expect(vpd.vpdLength(vectors.identificationPage.subarray(0, 3))).toBe(0)
  })

  it('0x83: other designators are named', () => {
    const page = bytes(`00 83 00 42
      01 0a 00 12 1000 0123456789abcdef0011223344556677
      01 02 00 08 0011223344556677
      01 06 00 04 00000009
      01 0c 00 02 abcd
      01 0a 00 02 1000
      01 03 00 00
      01 00 00 04 00000009`)
    expect(vpd.decodeIdentification(page).map((one) => one.text)).toEqual([
      'uuid.01234567-89ab-cdef-0011-223344556677',
      'eui.0011223344556677',
      'logical unit group 9',
      'type 12.abcd',
      'uuid.1000',
      'naa.',
      'vendor.00000009',
    ])
  })

  it('0x83: a port that is not told, or not as it should be', () => {
    expect(portOf([])).toEqual({ relativePort: undefined, portGroup: undefined })
    const page = bytes('00 83 00 18  01 84 00 04 00000002  52 a4 00 04 00000002  51 95 00 03 000001 00')
    expect(portOf(vpd.decodeIdentification(page))).toEqual({ relativePort: undefined, portGroup: undefined })
  })

  it('0xB0: block limits', () => {
    expect(vpd.decodeBlockLimits(vectors.blockLimitsPage)).toEqual({
      wsnz: true,
      maxCompareAndWrite: 1,
      optimalGranularity: 8,
      maxTransfer: 0x10000,
      optimalTransfer: 0x4000,
      maxUnmapBlocks: 0x3fffff,
      maxUnmapDescriptors: 128,
      unmapGranularity: 64,
      unmapAlignment: 8,
      maxWriteSame: 0x10000,
    })
  })

  it('0xB0: the short page tells nothing of UNMAP', () => {
    expect(vpd.decodeBlockLimits(vectors.shortBlockLimitsPage)).toEqual({
      wsnz: false,
      maxCompareAndWrite: 0,
      optimalGranularity: 1,
      maxTransfer: 2048,
      optimalTransfer: 64,
      maxUnmapBlocks: 0,
      maxUnmapDescriptors: 0,
      unmapGranularity: 0,
      unmapAlignment: undefined,
      maxWriteSame: 0,
    })
  })

  it('0xB0: a limit of no bounds stays a safe number', () => {
    const page = vectors.blockLimitsPage.slice().fill(0xff, 4)
    expect(vpd.decodeBlockLimits(page)).toMatchObject({
      maxUnmapBlocks: 0xffff_ffff,
      unmapAlignment: 0x7fff_ffff,
      maxWriteSame: Number.MAX_SAFE_INTEGER,
    })
  })

  it('0xB0: an alignment of 0 is told, an empty page tells nothing', () => {
    const page = vectors.blockLimitsPage.slice()
    page.set([0x80, 0, 0, 0], 32)
    expect(vpd.decodeBlockLimits(page).unmapAlignment).toBe(0)
    expect(vpd.decodeBlockLimits(bytes('00 b0 00 00'))).toEqual({
      wsnz: false,
      maxCompareAndWrite: 0,
      optimalGranularity: 0,
      maxTransfer: 0,
      optimalTransfer: 0,
      maxUnmapBlocks: 0,
      maxUnmapDescriptors: 0,
      unmapGranularity: 0,
      unmapAlignment: undefined,
      maxWriteSame: 0,
    })
    const cuts = [19, 20, 23, 24, 43, 44].map((length) => {
      const { maxTransfer, maxUnmapBlocks, maxWriteSame } = vpd.decodeBlockLimits(page.subarray(0, length))
      return [maxTransfer, maxUnmapBlocks, maxWriteSame]
    })
    expect(cuts).toEqual([
      [0x10000, 0, 0],
      [0x10000, 0, 0],
      [0x10000, 0, 0],
      [0x10000, 0x3fffff, 0],
      [0x10000, 0x3fffff, 0],
      [0x10000, 0x3fffff, 0x10000],
    ])
  })

  it('0xB1: characteristics', () => {
    expect(vpd.decodeCharacteristics(vectors.characteristicsPage)).toEqual({ rotationRate: 1, zoned: 0 })
    expect(vpd.decodeCharacteristics(bytes('00 b1 00 05 1c20 00 00 10'))).toEqual({ rotationRate: 7200, zoned: 1 })
  })

  it('0xB2: provisioning', () => {
    expect(vpd.decodeProvisioning(vectors.provisioningPage)).toEqual({
      lbpu: true,
      lbpws: true,
      lbpws10: true,
      lbprz: true,
      type: 2,
      thresholdExponent: 11,
    })
    expect(vpd.decodeProvisioning(bytes('00 b2 00 04 00 40 01 00'))).toMatchObject({
      lbpu: false,
      lbpws: true,
      lbpws10: false,
      lbprz: false,
      type: 1,
    })
    // LBPRZ 010b of SBC-4: the provisioning initialization pattern, not zeroes.
    expect(vpd.decodeProvisioning(bytes('00 b2 00 04 00 88 00 00')).lbprz).toBe(false)
  })

  it('of another page than asked for is refused', () => {
    const codes: unknown[] = []
    for (const page of [0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2, 0xc0]) {
      expect(() => vpd.decodeVpd(page, bytes('00 b3 00 00'))).toThrow(/was asked for, 0xb3 came/)
      codes.push(vpd.decodeVpd(page, bytes(`00 ${page.toString(16).padStart(2, '0')} 00 00`)).page)
    }
    expect(codes).toEqual([0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2, 0xc0])
  })

  it('of any page is decoded by its code', () => {
    expect(vpd.decodeVpd(0x00, vectors.supportedPages)).toMatchObject({ supported: [0, 0x80, 0x83, 0xb0, 0xb1, 0xb2] })
    expect(vpd.decodeVpd(0x80, vectors.serialPage)).toMatchObject({ serial: { text: 'beaf11' } })
    expect(vpd.decodeVpd(0x83, vectors.identificationPage)).toMatchObject({ designators: { length: 5 } })
    expect(vpd.decodeVpd(0xb0, vectors.blockLimitsPage)).toMatchObject({ limits: { optimalGranularity: 8 } })
    expect(vpd.decodeVpd(0xb1, vectors.characteristicsPage)).toMatchObject({ characteristics: { rotationRate: 1 } })
    expect(vpd.decodeVpd(0xb2, vectors.provisioningPage)).toMatchObject({ provisioning: { lbpu: true } })
    expect(vpd.decodeVpd(0xc0, bytes('00 c0 00 02 ab cd ef'))).toEqual({ page: 0xc0, bytes: bytes('abcd') })
  })
})
