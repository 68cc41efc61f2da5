import type { ChildProcess } from 'node:child_process'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NbdClient, NbdConnectOptions } from '../src/index.ts'
import { connectNbd } from '../src/index.ts'

/** Why a program cannot be used here, or an empty text. */
export function missing(program: string, harmless = '--version'): string {
  try {
    execFileSync(program, [harmless], { stdio: 'ignore' })
    return ''
  } catch {
    return `${program} is not installed`
  }
}

/** A server of somebody else, and the directory that it works in. */
export class Peer {
  readonly directory = mkdtempSync(join(tmpdir(), 'blockbraid-testkit-'))
  readonly socket = join(this.directory, 'socket')
  #children: ChildProcess[] = []

  uri(name = '', scheme = 'nbd+unix'): string {
    return `${scheme}:///${name}?socket=${this.socket}`
  }

  file(name: string, data: string | Uint8Array): string {
    const path = join(this.directory, name)
    writeFileSync(path, data)
    return path
  }

  /** Starts a server that listens on `socket`. */
  start(program: string, ...options: string[]): this {
    this.#children.push(spawn(program, options, { stdio: 'ignore' }))
    return this
  }

  /** Connects as soon as the server listens. */
  async connect(uri = this.uri(), options: NbdConnectOptions = {}): Promise<NbdClient> {
    for (let left = 500; ; left--) {
      try {
        return await connectNbd(uri, options)
      } catch (error) {
        const early = error instanceof Error && /ENOENT|ECONNREFUSED/.test(error.message)
        if (!early || left === 0) throw error
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    }
    rmSync(this.directory, { recursive: true, force: true })
  }
}
