import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { BlockError, messageOf } from '@blockbraid/core'
import { streamControl } from '../control/stream.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print, UsageError } from '../terminal/terminal.ts'
import { formatSize } from '../text/amounts.ts'
import type { RemoteOptions } from './ask.ts'
import { controlPath } from './ask.ts'

/** Options of `blockbraid trace`. */
export interface TraceCommandOptions extends RemoteOptions {
  /** How long it goes on; left out: until Ctrl-C. */
  seconds?: string
}

/**
 * `blockbraid trace PAIR FILE`: writes all that a pair does. The file is made by this command, for its user alone; the agent,
 * which may be another user, opens none.
 */
export async function trace(
  terminal: Terminal,
  options: TraceCommandOptions,
  pair: string,
  name: string,
): Promise<void> {
  const over = [terminal.interrupted, ...limitOf(options.seconds)]
  const control = await controlPath(terminal, options)
  const path = resolve(terminal.folder, name)
  let file: Awaited<ReturnType<typeof open>> | undefined
  let bytes = 0
  try {
    for await (const chunk of streamControl(control, { op: 'trace', pair }, AbortSignal.any(over))) {
      // Not before the agent has agreed.
      file ??= await create(path)
      await file.appendFile(chunk)
      bytes += chunk.length
    }
  } finally {
    await file?.close()
  }
  print(terminal, options.json, { pair, file: path, bytes }, (value) => [
    `${value.pair}: ${formatSize(value.bytes)} in ${value.file}; readTrace of @blockbraid/testkit reads it`,
  ])
}

function limitOf(text: string | undefined): AbortSignal[] {
  if (text === undefined) return []
  const seconds = Number(text)
  if (seconds > 0 && seconds <= 86_400) return [AbortSignal.timeout(seconds * 1000)]
  throw new UsageError(`--seconds is "${text}"; it must be above 0, and at most 86400`)
}

async function create(path: string): Promise<Awaited<ReturnType<typeof open>>> {
  try {
    // Never through a link, nor into what somebody else has put there.
    return await open(path, 'wx', 0o600)
  } catch (error) {
    const there = (error as NodeJS.ErrnoException).code === 'EEXIST'
    const text = there ? `${path} is there already: name another file` : `cannot make ${path}: ${messageOf(error)}`
    throw new BlockError(there ? 'IN_USE' : 'DENIED', text, { cause: error })
  }
}
