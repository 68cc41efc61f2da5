// Programs around the kernel's own initiators and targets, in the root folder that test/debian/judges.ts has made.
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Running } from '../node/tools.ts'
import { start, tool } from '../node/tools.ts'

/** That folder. */
export const ROOT: string = process.env['BLOCKBRAID_JUDGES'] ?? ''

// udevadm takes a root folder other than that of PID 1 for an installation under way.
const environment = ['SYSTEMD_IGNORE_CHROOT=1', 'LC_ALL=C', 'PATH=/usr/sbin:/usr/bin']
let ready: Promise<void> | undefined

async function prepare(): Promise<void> {
  if (ROOT === '') throw new Error('BLOCKBRAID_JUDGES is not set: the suite needs `judges: true`')
  for (const name of ['dev', 'proc', 'sys', 'run', 'tmp']) {
    mkdirSync(join(ROOT, name), { recursive: true })
    await tool('mount', '--rbind', `/${name}`, join(ROOT, name))
  }
}

/** Makes the root folder usable; to be done before {@link judge}. */
export function openRoot(): Promise<void> {
  return (ready ??= prepare())
}

/** Starts a program of that folder. */
export function startJudge(command: string, args: readonly string[]): Running {
  return start('chroot', inRoot(command, args))
}

/** Runs a program of that folder; resolves to what it printed, rejects with its words where it fails. */
export function judge(command: string, ...args: readonly string[]): Promise<string> {
  return startJudge(command, args).done
}

/** A daemon of that folder, in the foreground. */
export interface Daemon {
  /** Everything that it has said. */
  readonly words: string
}

/** Starts one; it ends with the machine. */
export function daemon(command: string, args: readonly string[] = []): Daemon {
  const child = spawn('chroot', inRoot(command, args), { stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { words: '' }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said.words += chunk))
  child.on('exit', (code, signal) => (said.words += `${command} has ended: ${signal ?? code}\n`))
  return said
}

function inRoot(command: string, args: readonly string[]): string[] {
  return [ROOT, 'env', '-i', ...environment, command, ...args]
}
