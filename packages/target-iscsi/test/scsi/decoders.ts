import { decodeCapacity10, decodeCapacity16 } from '../../src/scsi/capacity.ts'
import { decodeDesignators } from '../../src/scsi/designators.ts'
import { decodeInquiry } from '../../src/scsi/inquiry.ts'
import { decodeLuns } from '../../src/scsi/luns.ts'
import { decodeMode6, decodeMode10 } from '../../src/scsi/mode.ts'
import { decodeCommandSupport } from '../../src/scsi/opcodes.ts'
import { decodePortGroups } from '../../src/scsi/ports.ts'
import {
  decodeReservation,
  decodeReservationCapabilities,
  decodeReservationKeys,
  decodeReservationStatus,
} from '../../src/scsi/reservations.ts'
import { decodeSense } from '../../src/scsi/sense.ts'
import {
  decodeBlockLimits,
  decodeCharacteristics,
  decodeIdentification,
  decodeProvisioning,
  decodeSerial,
  decodeSupportedPages,
  decodeVpd,
  vpdLength,
} from '../../src/scsi/vpd.ts'
import * as vectors from './vectors.ts'

/** Every decoder with an answer that it knows, and the fewest bytes that it takes without an error. */
export const decoders: readonly [
  name: string,
  decode: (bytes: Uint8Array) => unknown,
  whole: Uint8Array,
  least: number,
][] = [
  ['decodeInquiry', decodeInquiry, vectors.inquiryDisk, 5],
  ['decodeSupportedPages', decodeSupportedPages, vectors.supportedPages, 4],
  ['decodeSerial', decodeSerial, vectors.serialPage, 4],
  ['decodeIdentification', decodeIdentification, vectors.identificationPage, 4],
  ['decodeDesignators', decodeDesignators, vectors.identificationPage.subarray(4), 0],
  ['decodeBlockLimits', decodeBlockLimits, vectors.blockLimitsPage, 4],
  ['decodeBlockLimits, short', decodeBlockLimits, vectors.shortBlockLimitsPage, 4],
  ['decodeCharacteristics', decodeCharacteristics, vectors.characteristicsPage, 4],
  ['decodeProvisioning', decodeProvisioning, vectors.provisioningPage, 4],
  ['decodeVpd', (bytes) => decodeVpd(0x83, bytes), vectors.identificationPage, 4],
  ['vpdLength', vpdLength, vectors.identificationPage, 0],
  ['decodeCapacity10', decodeCapacity10, vectors.capacity10, 8],
  ['decodeCapacity16', decodeCapacity16, vectors.capacity16, 12],
  ['decodeMode6', decodeMode6, vectors.mode6, 4],
  ['decodeMode10', decodeMode10, vectors.mode10, 8],
  ['decodeLuns', decodeLuns, vectors.lunList, 8],
  ['decodePortGroups', decodePortGroups, vectors.portGroups, 4],
  ['decodePortGroups, extended', decodePortGroups, vectors.portGroupsExtended, 4],
  ['decodeReservationKeys', decodeReservationKeys, vectors.reservationKeys, 8],
  ['decodeReservation', decodeReservation, vectors.reservation, 22],
  ['decodeReservationCapabilities', decodeReservationCapabilities, vectors.reservationCapabilities, 6],
  ['decodeReservationStatus', decodeReservationStatus, vectors.reservationStatus, 8],
  ['decodeCommandSupport', decodeCommandSupport, vectors.commandSupport, 2],
  ['decodeSense, fixed', decodeSense, vectors.bytes('f0 00 03 00123456 0a 00000000 11 00 00 000000'), 0],
  ['decodeSense, descriptors', decodeSense, vectors.bytes('72 03 11 04 0000000c 000a 8000 0000000312345678'), 0],
]
