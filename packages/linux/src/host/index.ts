export { claimFile, claimNode, type LetGo } from './claim.ts'
export type { DiskWords } from './disk-words.ts'
export { helperEnvironment } from './environment.ts'
export { type Guarded, guardNode, runGuard } from './guard.ts'
export { setNodeReadOnly } from './read-only.ts'
export {
  hasEnded,
  isServed,
  makeRunFolder,
  type NodeRecord,
  ownStart,
  readNodeRecord,
  recordFolder,
  removeNodeRecord,
  runFolder,
  writeNodeRecord,
} from './record.ts'
export { settleNode } from './settle.ts'
export { nodeUsers, swapsOn } from './users.ts'
