import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockError } from '@blockbraid/core'
import type { IscsiOptions } from '@blockbraid/target-iscsi'
import { pattern, patternFault } from '@blockbraid/testkit'
import { openBed, openDevice } from './bed.ts'

// Lengths around one data segment, one first burst and one burst of the small settings below.
const LENGTHS = [512, 4096, 8192, 16_384, 65_536, 66_048, 1_048_576, 1_050_624]

/** Writes and reads patterns of every length; the bytes that LIO keeps must be those. */
async function transfer(
  options: Partial<IscsiOptions>,
  parameters: Record<string, string | number> = {},
): Promise<void> {
  await using bed = openBed({ parameters })
  const device = await openDevice(bed.initiator(options))
  for (const [generation, length] of LENGTHS.entries()) {
    const stamp = { seed: 11, offset: generation * 2 * 1_048_576, generation }
    await device.write(stamp.offset, pattern(length, stamp))
    assert.equal(patternFault(await device.read(stamp.offset, length), stamp), undefined)
    assert.equal(patternFault(bed.volumes[0]!.storage.peek(stamp.offset, length), stamp), undefined)
  }
  assert.equal(bed.lio.statistic('iscsi_sess_err/digest_errors'), 0)
  await device.close()
}

const small = { firstBurstLength: 8192, maxBurstLength: 16_384, maxRecvDataSegmentLength: 4096 }
const matrix: Record<string, Partial<IscsiOptions>> = {
  'the defaults': {},
  'no immediate data, R2T first': { immediateData: false, initialR2T: true },
  'immediate data, R2T first': { initialR2T: true },
  'no immediate data, unsolicited data': { immediateData: false },
  'small bursts': small,
  'small bursts, no immediate data, R2T first': { ...small, immediateData: false, initialR2T: true },
  'several R2Ts': { ...small, initialR2T: true, maxOutstandingR2T: 8 },
  'header digest': { headerDigest: true },
  'data digest': { dataDigest: true },
  'both digests, small bursts': { ...small, headerDigest: true, dataDigest: true },
  'both digests, no immediate data, R2T first': {
    headerDigest: true,
    dataDigest: true,
    immediateData: false,
    initialR2T: true,
  },
}

for (const [name, options] of Object.entries(matrix)) {
  test(`every length is transferred with ${name}`, () => transfer(options))
}

test('digests that the target insists on are used where we prefer them', () =>
  transfer({ headerDigest: 'prefer', dataDigest: 'prefer' }, { HeaderDigest: 'CRC32C', DataDigest: 'CRC32C' }))

test('small segments that the target asks for are kept', () =>
  transfer({}, { MaxRecvDataSegmentLength: 4096, FirstBurstLength: 8192, MaxBurstLength: 16_384 }))

test('immediate data and unsolicited data that the target refuses are not sent', () =>
  transfer({}, { ImmediateData: 'No', InitialR2T: 'Yes' }))

test('digests that one side insists on and the other refuses: no login, and a reason', async () => {
  await using bed = openBed({ parameters: { HeaderDigest: 'CRC32C' } })
  await assert.rejects(bed.initiator({ headerDigest: false }).discover(), (error) => BlockError.is(error))
  await using other = openBed({ parameters: { HeaderDigest: 'None' } })
  await assert.rejects(other.initiator({ headerDigest: true }).discover(), (error) => BlockError.is(error))
})
