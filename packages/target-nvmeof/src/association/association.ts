import type { BlockError, SignalOptions } from '@blockbraid/core'
import type { ControllerFacts } from '../controller/facts.ts'
import type { Procedure } from '../nvme/procedure.ts'
import type { Place } from '../place/place.ts'
import type { Command } from '../queue/command.ts'
import type { Share } from '../queue/share.ts'

export type { ControllerFacts }

/** Listens to an {@link Association}. */
export interface AssociationListener {
  /** It has ended by itself; every command has ended before. */
  lost(error: BlockError): void
  /** Access states changed: the ANA log was read anew. */
  ana?(log: Uint8Array): void
  /** Namespaces were added, removed or changed; `undefined`: any may be. */
  namespaces?(ids: readonly number[] | undefined): void
  /** A cross-controller reset that this controller was asked for has ended: log page 1Eh tells how. */
  crossReset?(): void
  /** The discovery log changed. */
  discovery?(): void
  /** Another event of the controller that people should hear of. */
  notice?(text: string): void
}

/** A controller with its admin queue and its I/O queues, over one connection each: one portal and one subsystem. */
export interface Association {
  readonly place: Place
  readonly controller: ControllerFacts
  /** Why it has ended; undefined as long as it can be used. */
  readonly error: BlockError | undefined
  /** Whether new commands are taken. */
  readonly usable: boolean
  readonly listeners: Set<AssociationListener>
  /** Owners of commands that may change data and had no answer when it ended. */
  readonly unfenced: Set<object>
  /**
   * When it ended, and when the controller last gave a sign of life: µs of the clock. What `disable` hears counts as one, so
   * that who waits for it sees that it goes on.
   */
  readonly endedAt: number
  readonly heardAt: number
  /** Milliseconds for which a ping has been without an answer on one of its I/O queues; 0: none is. */
  readonly silence: number
  /** The ANA log as it was read last; undefined where the controller has none. */
  readonly anaLog: Uint8Array | undefined

  /** The part that a namespace has in the I/O queues, whatever others leave unanswered; end it when it is used no more. */
  share(nsid: number): Share
  /** A command of an I/O queue to fill in and `send`, in the part of its namespace; undefined where none is taken. */
  take(share?: Share): Command | undefined
  /** Sends it, or lets it wait for room. */
  send(command: Command): void
  /** The commands of `owner` that wait or were sent, orphans too. */
  commandsOf(owner: object): Command[]
  /**
   * Ends commands for their caller now: `done` is called with Lost or NotSent. Those that were sent live on without
   * a caller. Returns false where payload of one has not left this process: then the association must be dropped.
   */
  detach(commands: readonly Command[]): boolean
  /** Settles when no command of `owner` that may change data is open any more; rejects when the association ends first. */
  drained(owner: object, options?: SignalOptions): Promise<void>
  /**
   * Settles with a sign of life through each I/O queue; `question` has an answer whatever becomes of it, and is sent once
   * on a queue for all who ask at once. Rejects when the signal fires or the association ends.
   */
  ping(question: () => Procedure<unknown>, owner: object, options?: SignalOptions): Promise<void>
  /** Runs a procedure on the admin queue, or on an I/O queue; its commands belong to `owner`. */
  run<Result>(procedure: Procedure<Result>, options?: RunOptions): Promise<Result>

  /**
   * A command to a namespace, of ANA group `anaGroup`, failed as its access state forbids it: the ANA log is read, unless the
   * one that was read last says so already.
   */
  trouble(nsid: number, anaGroup: number): void

  /** Ends it now: I/O queues by RST, every command, the listeners hear of it. The admin queue stays for `disable`. */
  drop(error: BlockError): void
  /**
   * After `drop`: disables the controller through its admin queue, where that still answers (CC.EN=0, then CSTS.RDY=0 within
   * CAP.TO; NVMe Base 2.1 §3.6). True: it is disabled, so nothing that was sent can change data any more. False at once where
   * the admin queue has ended. Until `release` nothing else is sent, no keep-alive either.
   */
  disable(options?: SignalOptions): Promise<boolean>
  /** Ends the admin queue that `drop` has left, by RST. */
  release(): void
  /** Orderly shutdown (CC.SHN=01b), and the end of every connection; commands must have ended. */
  close(options?: SignalOptions): Promise<void>
}

/** Options of {@link Association.run}. */
export interface RunOptions extends SignalOptions {
  /** Each command's time, milliseconds. @defaultValue the association's `commandTimeout` */
  readonly timeout?: number
  /** On an I/O queue instead of the admin queue. @defaultValue false */
  readonly io?: boolean
  /** Whose its commands are; it is among `unfenced` where one may change data and is not answered. */
  readonly owner?: object
}
