import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { BlockError } from '@blockbraid/core'
import { callSocket } from '../control/client.ts'
import { defaultControlPath, refuseForeign } from '../control/path.ts'
import type { ControlServer } from '../control/server.ts'
import { serveControl } from '../control/server.ts'
import type { Lab } from './lab.ts'
import type { LabState } from './state.ts'
import { stateOf } from './state.ts'
import { runWords } from './words.ts'

/** What can be asked of an array that runs: to do what a line of words says. Answered with how everything is then. */
const operations = { hello: [], array: ['line'] } as const

/** The socket of the array of a file, where none is named: one for each file. */
export function arraySocket(file: string, env: Readonly<Record<string, string | undefined>>): string {
  const mark = createHash('sha256').update(file).digest('hex').slice(0, 12)
  return join(dirname(defaultControlPath(env)), `array-${mark}.sock`)
}

/** Takes commands to a lab. Rejects with IN_USE where another process has the socket. */
export function serveLab(path: string, lab: Lab): Promise<ControlServer> {
  const handle = async (request: { readonly op: string; readonly line?: string }): Promise<unknown> => {
    if (request.op === 'hello') return { pid: process.pid }
    const line = request.line ?? ''
    if (line !== 'ls') await runWords(lab, line)
    return stateOf(lab)
  }
  return serveControl(path, handle, { operations, advice: 'end it first, or give this one another control socket' })
}

/** Has the array at a socket do what a line of words says. Rejects as `callControl` does. */
export async function tellLab(path: string, line: string, signal: AbortSignal): Promise<LabState> {
  await refuseForeign(path)
  try {
    return (await callSocket(path, { op: 'array', line }, { signal })) as LabState
  } catch (error) {
    if (!BlockError.is(error) || error.code !== 'NOT_FOUND') throw error
    throw new BlockError('NOT_FOUND', `no array listens at ${path}: start one with "blockbraid array FILE"`, {
      cause: error,
    })
  }
}
