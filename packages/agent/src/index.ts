/**
 * The `blockbraid` command for other programs. {@link runAgent} makes a running agent of a config, read from YAML or made
 * by hand: pairs, and a control socket. {@link callControl} asks one that runs in another process, with typed requests
 * and answers.
 *
 * @packageDocumentation
 */
export type { RunOptions } from './agent/run.ts'
export { runAgent } from './agent/run.ts'
export type { RunningAgent } from './agent/running-agent.ts'
export type { Config, DeviceConfig, PluginUse } from './config/config.ts'
export { loadConfig, parseConfig } from './config/load.ts'
export { ConfigError } from './config/source.ts'
export type { Answer, Answers, Hello, MeantPath, PairedAgain, WaitingPaths } from './control/answers.ts'
export type { CallOptions } from './control/client.ts'
export { callControl } from './control/client.ts'
export type { LimitResult } from './control/limit.ts'
export type { NvmeResult } from './control/nvme.ts'
export { defaultControlPath } from './control/path.ts'
export type { PolicyResult } from './control/policy.ts'
export type { Arguments, Operation, Request } from './control/protocol.ts'
export { operations } from './control/protocol.ts'
export type { ProveResult } from './control/prove.ts'
export type { EndedByHand, RestoredPath } from './control/restore.ts'
export type { ScsiResult } from './control/scsi.ts'
export type { TraceBegun } from './control/trace.ts'
export type { Severity } from './log/report.ts'
export type { ClosedPair } from './pairs/close-pair.ts'
export type { HandedOver, HandOverResult } from './running/hand-over.ts'
export type { RescanResult } from './running/rescan.ts'
export type { ResizedPair } from './running/resizes.ts'
export type { TakeDownMode } from './running/take-down.ts'
export type { GuardListing, ReleasedGuards } from './snapshot/guards.ts'
export type { LimitsListing, Oddities } from './snapshot/limits.ts'
export type {
  FencedListing,
  FenceListing,
  Listing,
  PairListing,
  PathListing,
  RefusedListing,
} from './snapshot/listing.ts'
export type { MissingListing } from './snapshot/missing.ts'
export type { PairStats, PathStats, Stats } from './snapshot/stats.ts'
export type { FailoverLineListing, FailoverListing, WhyListing } from './snapshot/why.ts'
export { defaultStateFolder } from './state/folder.ts'
export { fileLedger } from './state/ledger.ts'
