/**
 * The `blockbraid` command, and what it is made of for programs that embed an agent: a config, read
 * from YAML or made by hand, becomes a running agent with its pairs and its control socket.
 *
 * @packageDocumentation
 */

export type { RunOptions } from './agent/run.ts'
export { runAgent } from './agent/run.ts'
export type { RunningAgent } from './agent/running-agent.ts'
export type { Config, DeviceConfig, PluginUse } from './config/config.ts'
export { loadConfig, parseConfig } from './config/load.ts'
export { ConfigError } from './config/source.ts'
export type { CallOptions } from './control/client.ts'
export { callControl } from './control/client.ts'
export { defaultControlPath } from './control/path.ts'
export type { Arguments, Operation, Request } from './control/protocol.ts'
export { operations } from './control/protocol.ts'
export type { ScsiResult } from './control/scsi.ts'
export type { Severity } from './log/report.ts'
export type { HandedOver, HandOverResult } from './running/hand-over.ts'
export type { RescanResult } from './running/rescan.ts'
export type { ResizedPair } from './running/resizes.ts'
export type { GuardListing, ReleasedGuards } from './snapshot/guards.ts'
export type { LimitsListing } from './snapshot/limits.ts'
export type { Listing, PairListing, PathListing } from './snapshot/listing.ts'
export type { MissingListing } from './snapshot/missing.ts'
export type { PairStats, PathStats, Stats } from './snapshot/stats.ts'
export { defaultStateFolder } from './state/folder.ts'
export { fileLedger } from './state/ledger.ts'
