import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { BlockError, messageOf, systemHost } from '@blockbraid/core'
import type { ArrayFile } from '../array/array-file.ts'
import { parseArrayFile } from '../array/array-file.ts'
import { arraySocket, serveLab, tellLab } from '../array/control.ts'
import { formatLab } from '../array/format.ts'
import type { Lab } from '../array/lab.ts'
import { startLab } from '../array/lab.ts'
import { stateOf } from '../array/state.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'
import { untilAborted } from '../terminal/until-aborted.ts'
import type { RemoteOptions } from './ask.ts'

/** `blockbraid array FILE [WORDS...]`: serves simulated arrays until it is interrupted; with words, tells those that run. */
export async function array(
  terminal: Terminal,
  options: RemoteOptions,
  name: string,
  words: readonly string[],
): Promise<void> {
  const path = resolve(terminal.folder, name)
  const file = await read(path, terminal)
  const control = resolve(terminal.folder, options.control ?? file.control ?? arraySocket(path, terminal.env))
  if (words.length === 0) return serve(terminal, options, file, control)
  const line = words.join(' ')
  const state = await tellLab(control, line, terminal.interrupted)
  if (options.json || line === 'ls') print(terminal, options.json, state, (value) => formatLab(value, terminal.columns))
}

async function read(path: string, terminal: Terminal): Promise<ArrayFile> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw new BlockError('NOT_FOUND', missing ? `there is no file ${path}` : `cannot read ${path}: ${messageOf(error)}`)
  }
  return parseArrayFile(text, path, terminal.env)
}

async function serve(terminal: Terminal, options: RemoteOptions, file: ArrayFile, control: string): Promise<void> {
  const lab: Lab = await startLab(file, systemHost)
  try {
    const server = await serveLab(control, lab)
    try {
      print(terminal, options.json, { pid: process.pid, control, ...stateOf(lab) }, (state) => [
        ...formatLab(state, terminal.columns),
        `control socket ${control}; Ctrl-C ends it`,
      ])
      await untilAborted(terminal.interrupted)
    } finally {
      await server.close()
    }
  } finally {
    await lab.close()
  }
}
