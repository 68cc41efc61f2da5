import type { ClosedPair } from '../pairs/close-pair.ts'
import type { HandOverResult } from '../running/hand-over.ts'
import type { RescanResult } from '../running/rescan.ts'
import type { ReleasedGuards } from '../snapshot/guards.ts'
import type { Listing } from '../snapshot/listing.ts'
import type { Stats } from '../snapshot/stats.ts'
import type { WhyListing } from '../snapshot/why.ts'
import type { LimitResult } from './limit.ts'
import type { NvmeResult } from './nvme.ts'
import type { PolicyResult } from './policy.ts'
import type { Operation } from './protocol.ts'
import type { ProveResult } from './prove.ts'
import type { RestoredPath } from './restore.ts'
import type { ScsiResult } from './scsi.ts'
import type { TraceBegun } from './trace.ts'

/** That an agent lives. */
export interface Hello {
  /** Its process. */
  readonly pid: number
}

/** The path that a part of an id meant. */
export interface MeantPath {
  /** Its id. */
  readonly path: string
}

/** Paths that waited for something. */
export interface WaitingPaths {
  /** Their ids. */
  readonly paths: readonly string[]
}

/** A pair that is up again. */
export interface PairedAgain {
  /** Where applications find it. */
  readonly node: string
}

/** What each operation is answered with. */
export interface Answers {
  /** The agent lives. */
  readonly hello: Hello
  /** Pairs, their paths, and what is missing. */
  readonly ls: Listing
  /** Counters and latencies. */
  readonly stats: Stats
  /** What is wrong with a pair, and its last failovers. */
  readonly why: WhyListing
  /** The bytes that follow. */
  readonly trace: TraceBegun
  /** What has changed. */
  readonly rescan: RescanResult
  /** What the policy does wrong. */
  readonly policy: PolicyResult
  /** What the pair is held to now. */
  readonly limit: LimitResult
  /** The path that takes no I/O now. */
  readonly 'path-fail': MeantPath
  /** The path that is let in again. */
  readonly 'path-restore': RestoredPath
  /** The paths that had waited for I/O to go back to them. */
  readonly 'fail-back': WaitingPaths
  /** What holds no I/O any more. */
  readonly 'release-guards': ReleasedGuards
  /** How the pair has ended. */
  readonly down: ClosedPair
  /** The pair that is up again. */
  readonly pair: PairedAgain
  /** What was left, and to whom it is of use. */
  readonly 'hand-over': HandOverResult
  /** What the command was answered. */
  readonly scsi: ScsiResult
  /** What the command was answered. */
  readonly nvme: NvmeResult
  /** What the comparison has found. */
  readonly prove: ProveResult
}

/** What an operation is answered with. */
export type Answer<Name extends Operation> = Answers[Name]
