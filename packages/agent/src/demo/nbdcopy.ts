import type { Reader } from './load.ts'
import { LIMIT } from './load.ts'
import { askProgram, runProgram } from './program.ts'

/** nbdcopy, or undefined where it is not installed. */
export async function findNbdcopy(folder: string): Promise<Reader | undefined> {
  const version = await askProgram('nbdcopy', ['--version'], folder)
  if (version === undefined) return undefined
  return {
    program: version,
    async read(source, cwd, signal, onData) {
      const ended = await runProgram('nbdcopy', [source.uri, '-'], { folder: cwd, timeout: LIMIT, signal, onData })
      if (ended.code !== 0) throw new Error(`nbdcopy ended with code ${ended.code}: ${ended.stderr}`)
    },
  }
}
