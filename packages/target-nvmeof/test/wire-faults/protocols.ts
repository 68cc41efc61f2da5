import { iscsiArrayOf } from '@blockbraid/array-iscsi'
import { nvmeArrayOf } from '@blockbraid/array-nvmeof'
import type { Target } from '@blockbraid/core'
import { iscsi } from '@blockbraid/target-iscsi'
import { nvmeof } from '../../src/index.ts'

/** One address of an array, whatever it speaks. */
export interface WirePortal {
  readonly address: string
  readonly connections: number
  cut(): void
  reset(): void
  down(): Promise<void>
  up(): Promise<void>
  blackhole(on: boolean): void
}

/** What is on the wire in both protocols: what hosts send, and what arrays send. */
export type Kind = 'command' | 'writeData' | 'ask' | 'readData' | 'answer'

/** What becomes of it, as the arrays have it. */
export type Action =
  | { drop: true }
  | { delay: number }
  | { cut: number; reset?: boolean }
  | { corrupt: number }
  | { reorder: number }

/** Which: how many pass before, how many are hit, at which portal. */
export interface Which {
  portal?: number
  after?: number
  count?: number
  rate?: number
}

/** An array of two portals with a fault injector on its wire. */
export interface WireArray {
  readonly portals: readonly WirePortal[]
  readonly violations: readonly string[]
  /** Puts a fault in; returns how often it has acted. */
  fault(kind: Kind, action: Action, which?: Which): { readonly hits: number }
  heal(): void
  close(): Promise<void>
}

/** What an initiator is like. */
export interface HostOptions {
  readonly digests: boolean
  /** It takes no path for dead that is slow. */
  readonly calm: boolean
}

/** A protocol as these tests see it. */
export interface Protocol {
  readonly name: string
  /** What the array calls a violation, and faults on the wire provoke. */
  readonly provoked: RegExp
  /** An array before `storage`. */
  array(storage: Target): Promise<WireArray>
  /** An initiator before its portals. */
  host(portals: readonly string[], options: HostOptions): Target
}

const ISCSI_NAME = 'iqn.2026-11.io.blockbraid:array'
const ISCSI_PDUS = {
  command: 'scsiCommand',
  writeData: 'dataOut',
  ask: 'r2t',
  readData: 'dataIn',
  answer: 'scsiResponse',
} as const satisfies Record<Kind, string>

const overIscsi: Protocol = {
  name: 'iSCSI',
  provoked: / was due$/,
  async array(storage) {
    // One target port group, so that a path can be fenced through the other portal. Data is asked for beyond 8 KiB.
    const portals = [{ group: 1 }, { group: 1 }]
    const array = await iscsiArrayOf(storage, {
      name: ISCSI_NAME,
      portals,
      firstBurstLength: 8192,
      maxRecvDataSegmentLength: 8192,
      collapseStatus: false,
    })
    return {
      portals: array.portals,
      violations: array.violations,
      fault: (kind, action, which = {}) => array.faults.wire({ pdu: ISCSI_PDUS[kind], ...which, ...action }),
      heal: () => array.faults.heal(),
      close: () => array.close(),
    }
  },
  host: (portals, { digests, calm }) =>
    iscsi({
      portals,
      initiator: 'iqn.2026-11.io.blockbraid:host',
      toldPortals: false,
      keepAliveInterval: 200,
      keepAliveTimeout: calm ? 60_000 : 400,
      taskTimeout: calm ? 60_000 : 500,
      loginTimeout: calm ? 60_000 : 1000,
      // No other command than the load's: what is lost is one of them.
      pollInterval: 60_000,
      headerDigest: digests,
      dataDigest: digests,
    }),
}

const NVME_NAME = 'nqn.2026-11.io.blockbraid:array'
const NVME_PDUS = {
  command: 'command',
  writeData: 'h2cData',
  ask: 'r2t',
  readData: 'c2hData',
  answer: 'response',
} as const satisfies Record<Kind, string>

const overNvme: Protocol = {
  name: 'NVMe/TCP',
  provoked: /: H2CTermReq with FES/,
  async array(storage) {
    const array = await nvmeArrayOf(storage, {
      name: NVME_NAME,
      inCapsuleData: 8192,
      r2tSize: 16_384,
      c2hDataSize: 8192,
      successFlag: false,
      quiesceTime: 100,
    })
    return {
      portals: array.ports,
      violations: array.violations,
      fault(kind, action, { portal, ...which } = {}) {
        const port = portal === undefined ? {} : { port: portal }
        return array.faults.wire({ pdu: NVME_PDUS[kind], admin: false, ...port, ...which, ...action })
      },
      heal: () => array.faults.heal(),
      close: () => array.close(),
    }
  },
  host: (portals, { digests, calm }) =>
    nvmeof({
      portals,
      subsystem: NVME_NAME,
      hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:00112233-4455-6677-8899-aabbccddeeff',
      toldPortals: false,
      keepAliveTimeout: calm ? 60_000 : 1000,
      commandTimeout: calm ? 60_000 : 500,
      connectTimeout: calm ? 60_000 : 1000,
      pollInterval: 60_000,
      headerDigest: digests,
      dataDigest: digests,
    }),
}

/** Both protocols. */
export const protocols: readonly Protocol[] = [overIscsi, overNvme]
