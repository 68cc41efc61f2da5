import { join } from 'node:path'
import type { Running } from './tools.ts'
import { start, succeed } from './tools.ts'

/** The file of `blockbraid`. */
export const command = join(import.meta.dirname, '../../../packages/agent/dist/cli.js')

/** Starts `blockbraid`. */
export function startBlockbraid(cwd: string, ...args: string[]): Running {
  return start(process.execPath, [command, ...args], { cwd })
}

/** Runs `blockbraid`, which must end with code 0. */
export function blockbraid(cwd: string, ...args: string[]): Promise<string> {
  return succeed(process.execPath, [command, ...args], { cwd })
}

/** What `ls --json` prints, as far as tests look at it. */
export interface Listing {
  readonly pairs: readonly {
    readonly name: string
    readonly policy: string
    readonly state: string
    readonly node: string
    readonly parked: number
    readonly guards: readonly unknown[]
    readonly paths: readonly { readonly id: string; readonly state: string; readonly ios: number }[]
  }[]
}

/** `blockbraid ls --json` */
export async function ls(cwd: string, control: string): Promise<Listing> {
  return JSON.parse(await blockbraid(cwd, 'ls', '--json', '--control', control)) as Listing
}
