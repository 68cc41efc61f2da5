import { expect } from 'vitest'
import { fio } from './support/fio.ts'
import { openIscsiBed } from './support/iscsi-bed.ts'
import type { Seen } from './support/tap.ts'
import { openTap } from './support/tap.ts'
import type { TgtParams } from './support/tgt.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'

/** A combination: what the initiator asks for, and what the target would do. */
interface Combination {
  readonly immediateData: boolean
  readonly initialR2T: boolean
  readonly headerDigest: boolean
  readonly dataDigest: boolean
  readonly lengths: keyof typeof sizes
}

// What the target takes in one PDU, what we take, and bursts. Odd: padding stands within a write; tgt reads only fit
// for multiples of four, since it pads in place.
const sizes = {
  least: { segment: 512, segmentIn: 512, first: 512, burst: 512 },
  odd: { segment: 1022, segmentIn: 1020, first: 3001, burst: 10_003 },
  large: { segment: 262_144, segmentIn: 262_144, first: 262_144, burst: 1_048_576 },
}

const both = [false, true]
const combinations: Combination[] = []
for (const immediateData of both)
  for (const initialR2T of both)
    for (const headerDigest of both)
      for (const dataDigest of both)
        for (const lengths of ['least', 'odd', 'large'] as const)
          combinations.push({ immediateData, initialR2T, headerDigest, dataDigest, lengths })

// Every block is written once, and then read back and verified.
const job = [
  '--rw=randwrite',
  '--bssplit=4k/40:36k/30:256k/30',
  '--blockalign=4k',
  '--size=6M',
  '--iodepth=8',
  '--verify=crc32c',
]

function name(combination: Combination): string {
  const { immediateData, initialR2T, headerDigest, dataDigest, lengths } = combination
  const words = [immediateData ? 'immediate' : 'no immediate', initialR2T ? 'R2T first' : 'unsolicited']
  if (headerDigest) words.push('header digest')
  if (dataDigest) words.push('data digest')
  return [...words, `${lengths} lengths`].join(', ')
}

/** The wire was as negotiated. */
function expectAsNegotiated(seen: Seen, combination: Combination): void {
  const { immediateData, initialR2T, headerDigest, dataDigest, lengths } = combination
  const { segment, segmentIn, first, burst } = sizes[lengths]
  expect(seen.keys.get('ImmediateData')).toBe(immediateData ? 'Yes' : 'No')
  expect(seen.keys.get('InitialR2T')).toBe(initialR2T ? 'Yes' : 'No')
  expect(seen.keys.get('HeaderDigest')).toBe(headerDigest ? 'CRC32C' : 'None')
  expect(seen.keys.get('DataDigest')).toBe(dataDigest ? 'CRC32C' : 'None')
  expect(seen.commands.get(0x2a) ?? seen.commands.get(0x8a)).toBeGreaterThan(10)
  expect(seen.immediate > 0).toBe(immediateData)
  // What may be sent unasked and does not fit the command's own PDU.
  expect(seen.unsolicited > 0).toBe(!initialR2T && (!immediateData || first > segment))
  expect(seen.longestImmediate).toBeLessThanOrEqual(Math.min(segment, first))
  expect(seen.mostUnsolicited).toBeLessThanOrEqual(first)
  expect(seen.longestDataOut).toBeLessThanOrEqual(segment)
  expect(seen.longestDataIn).toBe(Math.min(segmentIn, 262_144))
  expect(seen.longestR2t).toBeLessThanOrEqual(burst)
  // Writes of 256 KiB reach each of these limits.
  expect(Math.max(seen.longestImmediate, seen.longestDataOut)).toBe(Math.min(segment, 262_144))
  const unasked = initialR2T ? (immediateData ? Math.min(segment, first) : 0) : first
  expect(seen.solicited > 0).toBe(unasked < 262_144)
}

async function verify(combination: Combination, params: TgtParams): Promise<void> {
  const { immediateData, initialR2T, headerDigest, dataDigest, lengths } = combination
  const { segmentIn, first, burst } = sizes[lengths]
  await using tgt = await openTgt()
  const target = await tgt.addTarget({ params })
  await target.addLun({ size: 8 * 2 ** 20 })
  await using tap = await openTap(tgt.portals[0])
  await using bed = await openIscsiBed({
    portals: [tap.portal],
    toldPortals: false,
    target: target.name,
    immediateData,
    initialR2T,
    headerDigest,
    dataDigest,
    maxRecvDataSegmentLength: segmentIn,
    firstBurstLength: first,
    maxBurstLength: burst,
    maxOutstandingR2T: lengths === 'odd' ? 4 : 1,
  })
  await fio(bed.uri, bed.folder.path, job)
  expectAsNegotiated(tap.seen, combination)
  expect(bed.pair.paths.map(({ errors, failures }) => [errors, failures])).toEqual([[0, 0]])
}

const willing = {
  ImmediateData: true,
  InitialR2T: false,
  HeaderDigest: 'CRC32C,None',
  DataDigest: 'CRC32C,None',
  FirstBurstLength: 1_048_576,
  MaxBurstLength: 1_048_576,
  MaxOutstandingR2T: 8,
}

itWithTgt.each(combinations.map((combination) => [name(combination), combination] as const))(
  'the initiator asks for: %s',
  async (_name, combination) => {
    await verify(combination, { ...willing, MaxRecvDataSegmentLength: sizes[combination.lengths].segment })
  },
)

const open: Combination = {
  immediateData: true,
  initialR2T: false,
  headerDigest: false,
  dataDigest: false,
  lengths: 'large',
}

itWithTgt.each([
  ['no immediate data', { ImmediateData: false }, { immediateData: false }],
  ['R2T first', { InitialR2T: true }, { initialR2T: true }],
  ['both', { ImmediateData: false, InitialR2T: true }, { immediateData: false, initialR2T: true }],
] as const)('the target insists on: %s', async (_name, params, result) => {
  const all = { ...willing, MaxRecvDataSegmentLength: 262_144, ...params }
  await using tgt = await openTgt()
  const target = await tgt.addTarget({ params: all })
  await target.addLun({ size: 8 * 2 ** 20 })
  await using tap = await openTap(tgt.portals[0])
  await using bed = await openIscsiBed({ portals: [tap.portal], toldPortals: false, target: target.name })
  await fio(bed.uri, bed.folder.path, job)
  expectAsNegotiated(tap.seen, { ...open, ...result })
})

itWithTgt.each([
  ['both ends would rather have digests', 'CRC32C,None', true],
  ['the target has none', 'None', false],
] as const)('digests that are preferred: %s', async (_name, offer, used) => {
  await using tgt = await openTgt()
  const params = { ...willing, HeaderDigest: offer, DataDigest: offer, MaxRecvDataSegmentLength: 262_144 }
  const target = await tgt.addTarget({ params })
  await target.addLun({ size: 8 * 2 ** 20 })
  await using tap = await openTap(tgt.portals[0])
  const digests = { headerDigest: 'prefer', dataDigest: 'prefer' } as const
  await using bed = await openIscsiBed({ portals: [tap.portal], toldPortals: false, target: target.name, ...digests })
  await fio(bed.uri, bed.folder.path, job)
  expectAsNegotiated(tap.seen, { ...open, headerDigest: used, dataDigest: used })
})

itWithTgt('digests that are required, and the target has none: an error that says so', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  const bed = openIscsiBed({ portals: tgt.portals, target: target.name, dataDigest: true })
  await expect(bed).rejects.toThrow(/DataDigest/)
})
