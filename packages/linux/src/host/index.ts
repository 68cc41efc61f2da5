export { type Guarded, guardNode, runGuard } from './guard.ts'
export { isServed, type NodeRecord, readNodeRecord, recordFolder, removeNodeRecord, writeNodeRecord } from './record.ts'
export { settleNode } from './settle.ts'
export { nodeUsers, swapsOn } from './users.ts'
