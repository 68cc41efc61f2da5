import { get16 } from '@blockbraid/wire'
import { hex, printable } from './bytes.ts'

/** What a designator names (SPC-5). */
export const Association = {
  /** The logical unit. */
  LogicalUnit: 0,
  /** The target port through which the page was read. */
  TargetPort: 1,
  /** The target device with all its logical units and ports. */
  TargetDevice: 2,
} as const

/** How the bytes of a designator are meant. */
export const CodeSet = {
  /** Binary values. */
  Binary: 1,
  /** Printable ASCII. */
  Ascii: 2,
  /** Text in UTF-8. */
  Utf8: 3,
} as const

/** Types of designators. */
export const DesignatorType = {
  /** Of a form that the vendor made up. */
  Vendor: 0x0,
  /** Eight bytes of vendor, then what the vendor made unique. */
  T10: 0x1,
  /** EUI-64: 8, 12 or 16 bytes. */
  Eui64: 0x2,
  /** NAA: 8 or 16 bytes; the first four bits tell the format. */
  Naa: 0x3,
  /** Relative target port identifier. */
  RelativePort: 0x4,
  /** Number of the target port group. */
  PortGroup: 0x5,
  /** Number of the logical unit group. */
  UnitGroup: 0x6,
  /** MD5 logical unit identifier: 16 bytes. */
  Md5: 0x7,
  /** SCSI name string: UTF-8, such as an iSCSI name. */
  Name: 0x8,
  /** Port identifier of a form that the protocol defines. */
  Protocol: 0x9,
  /** UUID: two bytes of head, then 16 bytes. */
  Uuid: 0xa,
} as const

/** One designator of VPD page 0x83. */
export interface Designator {
  /** One of {@link Association}. */
  readonly association: number
  /** One of {@link CodeSet}. */
  readonly codeSet: number
  /** One of {@link DesignatorType}. */
  readonly type: number
  /** SCSI protocol it belongs to, 5 is iSCSI; undefined where not told. */
  readonly protocol: number | undefined
  /** The designator itself as sent, without its head of 4 bytes. */
  readonly bytes: Uint8Array
  /** For people, such as `naa.6001405…` or `relative port 2`. */
  readonly text: string
}

/** Decodes the designators of a VPD page 0x83 behind its head; one that is cut is left out. */
export function decodeDesignators(body: Uint8Array): readonly Designator[] {
  const found: Designator[] = []
  for (let at = 0; at + 4 <= body.length; at += 4 + body[at + 3]!) {
    const end = at + 4 + body[at + 3]!
    if (end > body.length) break
    const codeSet = body[at]! & 0x0f
    const type = body[at + 1]! & 0x0f
    const bytes = body.subarray(at + 4, end)
    found.push({
      association: (body[at + 1]! >>> 4) & 3,
      codeSet,
      type,
      protocol: (body[at + 1]! & 0x80) === 0 ? undefined : body[at]! >>> 4,
      bytes,
      text: describe(type, codeSet, bytes),
    })
  }
  return found
}

/** The value of a relative target port or a group designator; undefined where it is none. */
export function numberOf({ codeSet, bytes }: Designator): number | undefined {
  return codeSet === CodeSet.Binary && bytes.length === 4 ? get16(bytes, 2) : undefined
}

/** The port through which page 0x83 was read. */
export interface PortIdentity {
  /** Relative target port identifier, from 1. */
  readonly relativePort: number | undefined
  /** Target port group. */
  readonly portGroup: number | undefined
}

/** What the designators of page 0x83 tell of the port. */
export function portOf(designators: readonly Designator[]): PortIdentity {
  const find = (type: number): number | undefined => {
    const found = designators.find((one) => one.association === Association.TargetPort && one.type === type)
    return found === undefined ? undefined : numberOf(found)
  }
  return { relativePort: find(DesignatorType.RelativePort), portGroup: find(DesignatorType.PortGroup) }
}

const prefixes = new Map<number, string>([
  [DesignatorType.Vendor, 'vendor.'],
  [DesignatorType.T10, 't10.'],
  [DesignatorType.Eui64, 'eui.'],
  [DesignatorType.Naa, 'naa.'],
  [DesignatorType.RelativePort, 'relative port '],
  [DesignatorType.PortGroup, 'port group '],
  [DesignatorType.UnitGroup, 'logical unit group '],
  [DesignatorType.Md5, 'md5.'],
  [DesignatorType.Name, ''],
  [DesignatorType.Protocol, 'protocol.'],
  [DesignatorType.Uuid, 'uuid.'],
])

function describe(type: number, codeSet: number, bytes: Uint8Array): string {
  const prefix = prefixes.get(type) ?? `type ${type}.`
  if (codeSet !== CodeSet.Binary) return prefix + printable(bytes)
  if (type === DesignatorType.Uuid && bytes.length === 18) return prefix + uuidText(bytes.subarray(2))
  const numbered = type >= DesignatorType.RelativePort && type <= DesignatorType.UnitGroup
  return prefix + (numbered && bytes.length === 4 ? get16(bytes, 2) : hex(bytes))
}

/** Sixteen bytes as RFC 9562 writes a UUID. */
export function uuidText(bytes: Uint8Array): string {
  const digits = hex(bytes)
  const groups = [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)]
  return groups.join('-')
}
