import type { NodeRecord } from '@blockbraid/linux'
import { isServed, readNodeRecord } from '@blockbraid/linux'
import { identityOf } from './identity.ts'
import { isServedHere } from './served.ts'

/** What is recorded of a node, by whatever process. */
export async function recordOf(index: number, backend: string): Promise<NodeRecord | undefined> {
  const record = await readNodeRecord(`nbd${index}`)
  const identity = identityOf(backend)
  // A record of another node that had this number before says nothing.
  return record?.name === identity?.name && record?.volume === identity?.volume ? record : undefined
}

/** The process that serves a node, this one included; undefined where none does. */
export async function servingProcess(index: number, backend: string): Promise<number | undefined> {
  const record = await recordOf(index, backend)
  if (record === undefined) return undefined
  if (record.pid === process.pid) return isServedHere(index, backend) ? record.pid : undefined
  return isServed(record) ? record.pid : undefined
}
