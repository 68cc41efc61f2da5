import { isServed, readNodeRecord } from '@blockbraid/linux'
import type { Identity } from './identity.ts'
import { servedHere } from './served.ts'

/** The process that serves a node, this one included; undefined where none does. */
export async function servingProcess(index: number, { name, volume }: Identity): Promise<number | undefined> {
  const record = await readNodeRecord(`nbd${index}`)
  // A record of another node that had this number before says nothing.
  if (record === undefined || record.name !== name || record.volume !== volume) return undefined
  if (record.pid === process.pid) return servedHere.has(index) ? record.pid : undefined
  return isServed(record) ? record.pid : undefined
}
