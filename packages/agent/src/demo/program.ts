import { spawn } from 'node:child_process'

/** What a program left when it ended. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  /** Its last words on stderr. */
  readonly stderr: string
}

/** Where and how long a program may run. `onData` takes stdout in place of `stdout`. */
export interface RunProgramOptions {
  folder: string
  /** Milliseconds. */
  timeout: number
  signal: AbortSignal
  onData?: (chunk: Uint8Array) => void
}

/** Runs a program to its end. Rejects where it is not installed, does not end in time, or the signal fires. */
export function runProgram(name: string, args: readonly string[], options: RunProgramOptions): Promise<Ended> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeout)])
  return new Promise((resolve, reject) => {
    const child = spawn(name, args, { cwd: options.folder, signal, stdio: ['ignore', 'pipe', 'pipe'] })
    const chunks: Uint8Array[] = []
    let stderr = ''
    child.stdout.on('data', options.onData ?? ((chunk: Uint8Array) => chunks.push(chunk)))
    child.stderr.on('data', (chunk: Uint8Array) => {
      stderr = (stderr + String(chunk)).slice(-2000)
    })
    child.on('error', (error) => {
      const timedOut = signal.aborted && !options.signal.aborted
      reject(timedOut ? new Error(`${name} did not end within ${options.timeout / 1000} s`, { cause: error }) : error)
    })
    child.on('close', (code) => resolve({ code, stdout: Buffer.concat(chunks).toString(), stderr: stderr.trim() }))
  })
}

/** First line of what a program says when it is asked, or undefined where it is not installed or fails. */
export async function askProgram(name: string, args: readonly string[], folder: string): Promise<string | undefined> {
  try {
    const { code, stdout } = await runProgram(name, args, {
      folder,
      timeout: 5000,
      signal: new AbortController().signal,
    })
    return code === 0 ? stdout.trim().split('\n')[0] : undefined
  } catch {
    return undefined
  }
}
