import type { PduName } from '../pdu/types.ts'

/** A rule in force. */
export interface NvmeFault {
  /** How often it has acted. */
  readonly hits: number
  /** Takes it away. */
  remove(): void
}

/** A rule that holds commands. */
export interface NvmeHold extends NvmeFault {
  /** Commands that it holds now, those included whose host is gone. */
  readonly held: number
  /** Executes what it holds, in the order in which it came; what comes later is held again. */
  release(): void
}

/** When a rule acts; what is left out matches everything. */
export interface FaultMatch {
  /** Number of a port. */
  port?: number
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
  /** Only those that go out: kept for so many ms, then sent in another order with others of other commands. */
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
  /** Which; names of what hosts send are for those that come in, others for those that go out. */
  pdu: PduName | readonly PduName[]
  /** Only on admin queues, or only on I/O queues. @defaultValue both */
  admin?: boolean
} & WireAction

/** A rule for commands, when all of their data is there. */
export interface CommandRule extends FaultMatch {
  /** Admin commands, or those of I/O queues. @defaultValue false */
  admin?: boolean
  /** Opcode, such as 0x01 for Write; 0x7f for those of fabrics. @defaultValue all */
  opcode?: number
  /** Command type of fabrics, such as 0x01 for Connect. @defaultValue all */
  fctype?: number
  /** Only for this namespace. @defaultValue all */
  nsid?: number
  /** SCT << 8 | SC, such as 0x0303 for "transitioning": it ends with that, unexecuted. */
  status?: number
  /** CRD, from 1 to 3: which of `retryDelays` the host is to wait; set only where it asked for it (ACRE). @defaultValue 0 */
  retryDelay?: number
  /** DNR. @defaultValue false */
  doNotRetry?: boolean
  /** With `status`: at once, before the data was asked for. @defaultValue false */
  early?: boolean
  /** It is taken, and never answered nor executed. @defaultValue false */
  hangs?: boolean
  /** It is kept until {@link NvmeHold.release}, and then executed, unless its controller has ended. @defaultValue false */
  holds?: boolean
  /** Admin commands that return data, such as Identify and Get Log Page: this is returned instead. */
  data?: (data: Buffer) => Uint8Array
}

/** A rule for connections and their Connect. */
export interface ConnectRule extends FaultMatch {
  /** Only for admin queues, or only for I/O queues; `mute` is before it is known. @defaultValue both */
  admin?: boolean
  /** Only for discovery controllers, or only for others. @defaultValue both */
  discovery?: boolean
  /** `refuse`: Connect ends with `status`. `mute`: ICReq gets no answer. `endless`: the controller never becomes ready. */
  action: 'refuse' | 'mute' | 'endless'
  /** SCT << 8 | SC of the refusal, such as 0x0184 for "invalid host". @defaultValue 0x0181, controller busy */
  status?: number
  /** DNR of the refusal. @defaultValue false */
  doNotRetry?: boolean
}

/** Faults that can be put in and taken out at any time. What makes no sense is a TypeError that names the field. */
export interface NvmeFaults {
  /** Adds a rule for PDUs, with one action, which must fit their direction. */
  wire(rule: WireRule): NvmeFault
  /** Adds a rule for commands; what it holds is released through what it returns. */
  command(rule: CommandRule): NvmeHold
  /** Adds a rule for connections. */
  connect(rule: ConnectRule): NvmeFault
  /** Namespaces that lists tell of beside those that are there, such as 2000. */
  phantomNamespaces: number
  /** Takes every rule away; what is held is executed. */
  heal(): void
}
