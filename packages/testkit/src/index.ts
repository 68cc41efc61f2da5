/**
 * Compliance suites for plugin authors, broken plugins that the suites must catch, doubles, virtual time,
 * test data, an NBD client, and a chaos proxy.
 * @packageDocumentation
 */
export { createChaosProxy } from './chaos/proxy.ts'
export type { ChaosConnection, ChaosDirection, ChaosProxy, ChaosProxyOptions } from './chaos/types.ts'
export type { Stamp } from './data/pattern.ts'
export { fillPattern, pattern, patternFault, readStamp, STAMP_SIZE } from './data/pattern.ts'
export type { DelayOptions } from './doubles/delayed.ts'
export { delayed } from './doubles/delayed.ts'
export type { FailOptions } from './doubles/failing.ts'
export { failing } from './doubles/failing.ts'
export { forward } from './doubles/forward.ts'
export type { Hanging } from './doubles/hanging.ts'
export { hanging } from './doubles/hanging.ts'
export type { RecordedIo, Recording } from './doubles/recording.ts'
export { recording } from './doubles/recording.ts'
export type { ByteRange, IoFilter } from './doubles/relay.ts'
export type { TestIoView, TestView } from './doubles/views.ts'
export { createIoView, createViews } from './doubles/views.ts'
export type { CaseReport } from './harness/collect.ts'
export { collect } from './harness/collect.ts'
export type { Mutant, MutantReport } from './harness/mutant.ts'
export { runMutants } from './harness/mutant.ts'
export type { SuiteClock, SuiteRunner, SuiteTiming } from './harness/runner.ts'
export type { TransportClient } from './harness/transport-client.ts'
export type { ClosedLoopOptions, ClosedLoopReport } from './load/closed-loop.ts'
export { closedLoop } from './load/closed-loop.ts'
export type { PolicyLoad } from './load/policy-load.ts'
export { policyLoad } from './load/policy-load.ts'
export type { MinimalArray } from './minimal/array.ts'
export { createMinimalArray } from './minimal/array.ts'
export { createMinimalDevice } from './minimal/device.ts'
export { createMinimalSelector } from './minimal/selector.ts'
export type { MinimalStorage } from './minimal/storage.ts'
export { afterPowerLoss, createMinimalStorage } from './minimal/storage.ts'
export type { MinimalTransport } from './minimal/transport.ts'
export { createMinimalTransport } from './minimal/transport.ts'
export { deviceMutants } from './mutants/device.ts'
export { pathMutants } from './mutants/path.ts'
export { selectorMutants } from './mutants/selector.ts'
export { targetMutants } from './mutants/target.ts'
export { transportMutants } from './mutants/transport.ts'
export type { NbdWriteOptions, NbdZeroOptions } from './nbd/client.ts'
export { NbdClient } from './nbd/client.ts'
export type { NbdConnectOptions } from './nbd/connect.ts'
export { connectNbd, listNbdExports } from './nbd/connect.ts'
export type { HandshakeOptions, NbdBlockSizes, NbdExport, NbdListing, ReplyStyle } from './nbd/handshake.ts'
export type { NbdAddress } from './nbd/uri.ts'
export { parseNbdUri } from './nbd/uri.ts'
export type { BlockChange } from './simulation/block-history.ts'
export { ANYTHING, BlockHistory } from './simulation/block-history.ts'
export type { ProcessLedger, SharedLedger } from './simulation/shared-ledger.ts'
export { createSharedLedger } from './simulation/shared-ledger.ts'
export { bytesPerCall } from './suites/allocation.ts'
export { deviceSuite } from './suites/device.ts'
export type { DeviceCapabilities, DeviceSuiteOptions } from './suites/device-scope.ts'
export { pathSuite } from './suites/path.ts'
export type { PathCapabilities, PathFaults, PathSuiteOptions } from './suites/path-scope.ts'
export type { SelectorCapabilities, SelectorSuiteOptions } from './suites/selector.ts'
export { selectorSuite } from './suites/selector.ts'
export type { TargetCapabilities, TargetContents, TargetSuiteOptions } from './suites/target.ts'
export { targetSuite } from './suites/target.ts'
export { transportSuite } from './suites/transport.ts'
export type { TransportCapabilities, TransportSuiteOptions } from './suites/transport-scope.ts'
export type { VirtualClock } from './time/driven-clock.ts'
export type { KillableHost } from './time/killable-host.ts'
export { killableHost } from './time/killable-host.ts'
export { createRandom, randomInt } from './time/random.ts'
export type { Schedule, SimulateOptions } from './time/simulate.ts'
export { simulate } from './time/simulate.ts'
export type { VirtualHost } from './time/virtual-clock.ts'
export { createVirtualClock, virtualHost } from './time/virtual-clock.ts'
export { readTrace } from './trace/read-trace.ts'
export type {
  TraceCandidate,
  TraceDone,
  TracedIo,
  TraceEnd,
  TraceEvent,
  TraceFailed,
  TraceHedge,
  TraceLost,
  TracePath,
  TracePick,
  TraceRecord,
  TraceStart,
  TraceState,
  TraceWait,
} from './trace/records.ts'
