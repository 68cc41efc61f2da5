/** Bytes of hex digits; blanks and line ends between them do not count. */
export function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replace(/\s+/g, ''), 'hex'))
}

/** Text padded with blanks, in hex. */
export function text(value: string, length = value.length): string {
  return Buffer.from(value.padEnd(length), 'latin1').toString('hex')
}

/** Standard INQUIRY data of a disk that supports both kinds of ALUA. */
export const inquiryDisk = bytes(
  `00 00 06 12 23 38 00 02 ${text('LIO-ORG', 8)} ${text('disk0', 16)} ${text('4.0', 4)} ${text('0123')}`,
)

/** VPD page 0x00. */
export const supportedPages = bytes('00 00 00 06 00 80 83 b0 b1 b2')

/** VPD page 0x80. */
export const serialPage = bytes(`00 80 00 08 ${text('beaf11  ')}`)

/** VPD page 0x83: NAA 6, T10, relative port 2, port group 17, iSCSI name of the port. */
export const identificationPage = bytes(`
  00 83 00 60
  01 03 00 10 6001405a1b2c3d4e5f60718293a4b5c6
  02 01 00 18 ${text('LIO-ORG', 8)} ${text('disk0:01234567', 16)}
  51 94 00 04 0000 0002
  51 95 00 04 0000 0011
  53 98 00 1c ${text('iqn.2003-01.org.x:a,t,0x0001')}
`)

/** VPD page 0xB0 in its long form: limits of a thin disk. */
export const blockLimitsPage = bytes(`
  00 b0 00 3c 01 01 0008 00010000 00004000 00000000
  003fffff 00000080 00000040 80000008
  0000000000010000 ${'00'.repeat(20)}
`)

/** VPD page 0xB0 in its short form, of SBC-2. */
export const shortBlockLimitsPage = bytes('00 b0 00 0c 00 00 0001 00000800 00000040 00000000')

/** VPD page 0xB1: an SSD. */
export const characteristicsPage = bytes(`00 b1 00 3c 0001 00 05 00 ${'00'.repeat(55)}`)

/** VPD page 0xB2: UNMAP and both WRITE SAME, unmapped blocks read as zeroes, thin. */
export const provisioningPage = bytes('00 b2 00 04 0b e4 02 00')

/** READ CAPACITY(16) data: 3 TiB of 512-byte blocks in 4 KiB physical ones, thin. */
export const capacity16 = bytes(`00000001 7fffffff 00000200 00 03 c000 ${'00'.repeat(16)}`)

/** READ CAPACITY(10) data: 1 GiB of 512-byte blocks. */
export const capacity10 = bytes('001fffff 00000200')

/** MODE SENSE(6) data: a block descriptor, the caching page with WCE, the control page; FUA. */
export const mode6 = bytes(`
  2b 00 10 08  00200000 00000200
  88 12 04 00 ffff 0000 ffff ffff 80 14 00 00 00 00 00 00
  0a 0a 02 00 00 00 00 00 ffff 0000
`)

/** MODE SENSE(10) data: a long block descriptor, a subpage, the caching page without WCE; write-protected. */
export const mode10 = bytes(`
  0034 00 80 01 00 0010  0000000180000000 00000000 00000200
  4a 01 0004 01020304
  08 12 00 00 ffff 0000 ffff ffff 80 14 00 00 00 00 00 00
`)

/** REPORT LUNS data: 0, 5, 300 in flat space, 70000 in extended flat space, 5 again, a two-level LUN. */
export const lunList = bytes(`
  00000030 00000000
  0000000000000000 0005000000000000 412c000000000000 d2011170 00000000 0005000000000000 0101000200000000
`)

/** REPORT TARGET PORT GROUPS data: two groups of two ports and one. */
export const portGroups = bytes(`
  0000001c
  80 8f 0001 00 02 00 02  0000 0001  0000 0002
  01 8f 0002 00 01 00 01  0000 0003
`)

/** The same groups behind the head of 8 bytes. */
export const portGroupsExtended = bytes(`
  00000020 10 3c 0000
  80 8f 0001 00 02 00 02  0000 0001  0000 0002
  01 8f 0002 00 01 00 01  0000 0003
`)

/** READ KEYS data: two keys. */
export const reservationKeys = bytes('00000007 00000010 0123456789abcdef 00000000deadbeef')

/** READ RESERVATION data: write exclusive, registrants only. */
export const reservation = bytes('00000007 00000010 0123456789abcdef 00000000 00 05 0000')

/** REPORT CAPABILITIES data: as LIO has it. */
export const reservationCapabilities = bytes('0008 15 81 ea01 0000')

/** READ FULL STATUS data: one iSCSI initiator port that holds the reservation, one name without an ISID. */
export const reservationStatus = bytes(`
  00000007 00000078
  0123456789abcdef 00000000 01 05 00000000 0002 00000030
  45 00 002c ${text('iqn.2026-11.io.x:h1,i,0x00023d000001')} ${'00'.repeat(8)}
  00000000deadbeef 00000000 02 00 00000000 0001 00000018
  05 00 0014 ${text('iqn.2026-11.io.x:h2')} 00
`)

/** REPORT SUPPORTED OPERATION CODES data of UNMAP. */
export const commandSupport = bytes('00 03 000a 42 01 00000000 00 ffff 00')
