import type { PduName } from '../pdu/opcodes.ts'

/** A rule in force. */
export interface IscsiFault {
  /** How often it has acted. */
  readonly hits: number
  /** Takes it away. */
  remove(): void
}

/** When a rule acts; what is left out matches everything. */
export interface FaultMatch {
  /** Number of a portal. */
  portal?: number
  /** How many matches pass before it acts. @defaultValue 0 */
  after?: number
  /** How often it acts. @defaultValue always */
  count?: number
  /** Share of the matches, from the host's randomness. @defaultValue 1 */
  rate?: number
}

/** What is done to a PDU. */
export type WireAction =
  /** It is lost. */
  | {
      /** Always `true`. */
      drop: true
    }
  /** Only those that go out: so many ms late, while others overtake it. */
  | {
      /** Milliseconds. */
      delay: number
    }
  /** The connection ends; one that goes out is sent to this byte first. */
  | {
      /** Bytes of the PDU that are sent before the end; without effect on one that comes in. */
      cut: number
      /** By RST, which may overtake what was sent, instead of FIN. @defaultValue false */
      reset?: boolean
    }
  /** Only those that go out: this byte is changed, counted from the end where negative. Digests are not put right. */
  | {
      /** Offset in bytes from the PDU's first, or from its end where negative; -1 is the last one. */
      corrupt: number
    }
  /** Only those that go out: kept for so many ms, then sent in another order with others of other tasks. */
  | {
      /** Milliseconds from the first PDU that is kept. */
      reorder: number
    }
  /** Only those that go out: this is sent instead. */
  | {
      /** Takes the PDU with its digests, returns the bytes to send in order; an empty list sends none. */
      replace: (pdu: Buffer) => readonly Uint8Array[]
    }

/** A rule for PDUs. */
export type WireRule = FaultMatch & {
  /** Which; names of requests are for those that come in, others for those that go out. */
  pdu: PduName | readonly PduName[]
  /** Only for this LUN; PDUs that carry none do not match. */
  lun?: number
} & WireAction

/** A rule for SCSI commands, when their turn has come. */
export interface CommandRule extends FaultMatch {
  /** Only for this LUN. @defaultValue all */
  lun?: number
  /** Opcode, such as 0x2a. */
  opcode?: number
  /** Status; 2 goes with `sense`. */
  status: number
  /** Sense key << 16 | ASC << 8 | ASCQ. */
  sense?: number
  /** Answered at once, before the data is there; with `'r2t'` after it was asked for. @defaultValue false */
  early?: boolean | 'r2t'
  /** It is taken, and never answered: for commands without data of their own. @defaultValue false */
  hangs?: boolean
}

/** A rule for logins. */
export interface LoginRule extends FaultMatch {
  /** Only for discovery sessions, or only for others. */
  discovery?: boolean
  /** `refuse`: ends with `status`. `endless`: goes on for ever. `mute`: no answer. */
  action: 'refuse' | 'endless' | 'mute'
  /** Class << 8 | detail, such as 0x0301; 0x0101 and 0x0102 take `address`. */
  status?: number
  /** Where to go instead: `host:port,group`. */
  address?: string
}

/** A rule for task management requests. */
export interface TaskManagementRule extends FaultMatch {
  /** Function, such as 1 for ABORT TASK. @defaultValue all */
  function?: number
  /** Response, such as 5 for "not supported". The function is not carried out. */
  response: number
}

/** Faults that can be put in and taken out at any time. What makes no sense is a TypeError that names the field. */
export interface IscsiFaults {
  /** Adds a rule for PDUs, with one action, which must fit their direction. */
  wire(rule: WireRule): IscsiFault
  /** Adds a rule for SCSI commands. */
  command(rule: CommandRule): IscsiFault
  /** Adds a rule for logins. */
  login(rule: LoginRule): IscsiFault
  /** Adds a rule for task management requests. */
  taskManagement(rule: TaskManagementRule): IscsiFault
  /** LUNs that REPORT LUNS tells of beside those that are there, such as 10 000. */
  phantomLuns: number
  /** Takes every rule away. */
  heal(): void
}
