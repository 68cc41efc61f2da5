import { resolve } from 'node:path'
import { BlockError } from '@blockbraid/core'
import type { Answer } from '../control/answers.ts'
import { callControl } from '../control/client.ts'
import { defaultControlPath, refuseForeign } from '../control/path.ts'
import type { Request } from '../control/protocol.ts'
import { noPair } from '../running/find.ts'
import type { Listing } from '../snapshot/listing.ts'
import type { Terminal } from '../terminal/terminal.ts'

/** Options of every command that talks to a running agent. */
export interface RemoteOptions {
  control?: string
  json?: boolean
}

/** Asks the agent that the options name. */
export async function ask<Asked extends Request>(
  terminal: Terminal,
  options: RemoteOptions,
  request: Asked,
  limit: { timeout?: number } = {},
): Promise<Answer<Asked['op']>> {
  const path = await controlPath(terminal, options)
  return callControl(path, request, { ...limit, signal: terminal.interrupted })
}

/** The control socket that the options name. Rejects where it is another user's. */
export async function controlPath(terminal: Terminal, { control }: RemoteOptions): Promise<string> {
  const path = control === undefined ? defaultControlPath(terminal.env) : resolve(terminal.folder, control)
  await refuseForeign(path)
  return path
}

/** The error for the name of a pair that is not up. */
export function notUp(name: string, { pairs }: Listing): BlockError {
  return new BlockError('NOT_FOUND', noPairIn(name, pairs))
}

/** Says that there is no pair of that name, and which there are. */
export function noPairIn(name: string, pairs: Listing['pairs']): string {
  return noPair(
    name,
    pairs.map((pair) => pair.name),
  )
}
