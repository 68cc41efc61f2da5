import { join, resolve } from 'node:path'
import { BlockError, messageOf } from '@blockbraid/core'
import { callControl } from '../control/client.ts'
import { formatNames } from '../format/names.ts'
import type { Listing } from '../snapshot/listing.ts'
import { defaultStateFolder } from '../state/folder.ts'
import type { NameRecord } from '../state/name-record.ts'
import { changeNames, NAMES_FILE, readNames } from '../state/names-file.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'

/** Options of `blockbraid names` and of `names forget`. */
export interface NamesOptions {
  json?: boolean
  state?: string
  control?: string
}

/** How long an agent may take to say which pairs it has, milliseconds. */
const LIST_TIME = 5000

/** `blockbraid names`: which volume each name belongs to; needs no agent. */
export async function names(terminal: Terminal, options: NamesOptions): Promise<void> {
  const kept = (await readNames(fileOf(terminal, options))).filter((record) => isMeant(record, terminal, options))
  print(terminal, options.json, { names: kept }, () => formatNames(kept, terminal.columns))
}

/** `blockbraid names forget NAME`: lets another volume have a name. Refuses while a pair of that name is up. */
export async function forgetName(terminal: Terminal, options: NamesOptions, name: string): Promise<void> {
  const file = fileOf(terminal, options)
  const meant = (await readNames(file)).filter((record) => record.name === name && isMeant(record, terminal, options))
  const [record, ...others] = meant
  if (record === undefined)
    throw new BlockError('NOT_FOUND', `${file} has no name ${name}; "blockbraid names" lists what it has`)
  if (others.length > 0) {
    const agents = meant.map(({ control, folder }) => control || folder).join(', ')
    throw new Error(`the name ${name} is kept for ${meant.length} agents, ${agents}: say which with --control`)
  }
  await refuseUp(terminal, record)
  await changeNames(file, (all) => all.filter((one) => !isSame(one, record)))
  const { volume } = record
  print(terminal, options.json, { name, volume, forgotten: true }, () => [
    `${name} no longer belongs to ${volume}: the next volume that is to have the name gets it`,
  ])
}

function fileOf({ folder, env }: Terminal, { state }: NamesOptions): string {
  return join(resolve(folder, state ?? defaultStateFolder(env)), NAMES_FILE)
}

function isMeant({ control }: NameRecord, { folder }: Terminal, options: NamesOptions): boolean {
  return options.control === undefined || resolve(folder, options.control) === control
}

function isSame(one: NameRecord, other: NameRecord): boolean {
  return one.name === other.name && one.control === other.control && one.folder === other.folder
}

async function refuseUp({ interrupted }: Terminal, { name, control }: NameRecord): Promise<void> {
  if (control === '') return
  let listing: Listing
  try {
    listing = await callControl(control, { op: 'ls' }, { timeout: LIST_TIME, signal: interrupted })
  } catch (error) {
    // No agent, no pair.
    if (BlockError.is(error) && error.code === 'NOT_FOUND') return
    throw new Error(`whether the pair ${name} is up cannot be told: ${messageOf(error)}`, { cause: error })
  }
  const pair = listing.pairs.find((one) => one.name === name)
  if (pair === undefined) return
  const advice = `"blockbraid down ${name} --control ${control}" ends it`
  throw new BlockError('IN_USE', `the pair ${name} of ${pair.volume} is up, so that its name stays: ${advice}`)
}
