import type { HostAgent, NamedDevice, Proof, UserDevice } from '@blockbraid/core'
import { BlockError, proveSame } from '@blockbraid/core'
import type { Running } from '../running/running.ts'
import { meantId } from './path-ids.ts'
import type { Arguments } from './protocol.ts'

/** What `prove --json` prints. */
export interface ProveResult extends Proof {
  /** Ids of the paths that were compared. */
  readonly paths: readonly string[]
}

/**
 * Compares the paths of pairs, volumes and paths. Rejects with NOT_FOUND, and with IN_USE where a block shall be
 * written and a pair has one of the paths.
 */
export async function prove(
  { agent, host }: Pick<Running, 'agent' | 'host'>,
  { devices, write }: Arguments<'prove'>,
): Promise<ProveResult> {
  const paths = [...new Set(devices.split('\n').flatMap((name) => pathsOf(agent, name)))]
  if (paths.length < 2) throw new TypeError(`${devices} has one path, ${paths[0]}: name two or more to compare`)
  const offset = write === undefined ? undefined : offsetOf(write)
  const user = agent.pairs.find((pair) => pair.paths.some(({ id }) => paths.includes(id)))
  if (offset !== undefined && user !== undefined) {
    throw new BlockError(
      'IN_USE',
      `pair ${user.id} uses it, and nobody may while a block is written: take it down first`,
    )
  }
  const open: UserDevice[] = []
  try {
    const named: NamedDevice[] = []
    for (const name of paths) {
      const device = await agent.open(name)
      open.push(device)
      named.push({ name, device })
    }
    const proof = await proveSame(named, { random: host.random, ...(offset === undefined ? {} : { write: offset }) })
    return { ...proof, paths }
  } finally {
    await Promise.all(open.map((device) => device.close()))
  }
}

function pathsOf(agent: HostAgent, name: string): string[] {
  const pair = agent.pairs.find(({ id }) => id === name)
  if (pair !== undefined) return pair.paths.map(({ id }) => id)
  const native = agent.devices().filter((device) => device.kind === 'native')
  const found = native.filter(({ id, volume }) => id === name || volume === name).map(({ id }) => id)
  if (found.length > 0) return found
  const part = meantId(
    native.map(({ id }) => id),
    name,
  )
  if (part !== undefined) return [part]
  throw new BlockError('NOT_FOUND', `there is no pair, volume or path ${name}`)
}

function offsetOf(text: string): number {
  const offset = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(offset)) return offset
  throw new TypeError(`write is "${text.slice(0, 40)}"; it must be the byte offset of a block`)
}
