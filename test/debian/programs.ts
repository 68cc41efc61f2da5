import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { canRun } from '../kernel/vm/commands.ts'
import { cachedFolder, makeCached } from './cache.ts'
import { unpackPackages } from './packages.ts'

/** Sets of programs that others wrote, and the Debian suites that are asked for them, the first that has all. */
export const programSuites = {
  trixie: ['trixie'],
  newest: ['sid', 'testing', 'trixie'],
} as const

/** Name of a set. */
export type ProgramSet = keyof typeof programSuites

/** A set as it was fetched. */
export interface Programs {
  readonly suite: string
  /** Version of each package, such as `1:10.0.13+ds-0+deb13u1`. */
  readonly versions: Readonly<Record<string, string>>
}

const packages = ['qemu-utils', 'libnbd-bin', 'nbdkit']
const commands = ['qemu-img', 'qemu-io', 'nbdcopy', 'nbdinfo', 'nbdfuse', 'nbdkit']

// Each of the commands is this script under its name.
const script = readFileSync(join(import.meta.dirname, 'program.sh'))

/** Where a set is, or would be. */
export function programsFolder(set: ProgramSet): string {
  return cachedFolder('peers', set, [programSuites[set], packages, commands, script.toString()])
}

/** A PATH with the commands of a set before those of the machine. */
export function programsPath(set: ProgramSet): string {
  return [join(programsFolder(set), 'bin'), process.env['PATH']].join(delimiter)
}

/** A set from the cache, or from the machine's Debian mirror where it is not there yet. */
export async function preparePrograms(set: ProgramSet): Promise<Programs> {
  const folder = programsFolder(set)
  if (!existsSync(join(folder, 'programs.json'))) await fetchPrograms(set, folder)
  return JSON.parse(await readFile(join(folder, 'programs.json'), 'utf8')) as Programs
}

async function fetchPrograms(set: ProgramSet, folder: string): Promise<void> {
  if (process.arch !== 'x64') throw new Error(`programs of Debian are fetched for x64; this machine is ${process.arch}`)
  for (const command of ['apt-get', 'apt-cache', 'dpkg-deb']) {
    if (!(await canRun(command))) throw new Error(`programs of Debian cannot be fetched: ${command} is missing`)
  }
  const troubles: string[] = []
  for (const suite of programSuites[set]) {
    console.log(`fetching qemu, libnbd and nbdkit of Debian ${suite}, once`)
    try {
      await makeCached(folder, (scratch) => makePrograms(suite, scratch))
      return
    } catch (error) {
      troubles.push(`${suite}: ${(error as Error).message.replace(/ -o \S+/g, '')}`)
    }
  }
  throw new Error(`programs of Debian cannot be fetched: ${troubles.join('; ')}`)
}

async function makePrograms(suite: string, scratch: string): Promise<string> {
  const root = await unpackPackages(suite, packages, scratch, 'with dependencies')
  await mkdir(join(scratch, 'bin'))
  for (const command of commands) {
    const there = ['usr/bin', 'usr/sbin'].some((place) => existsSync(join(root, place, command)))
    if (!there) throw new Error(`${packages.join(', ')} have no ${command} there`)
    await writeFile(join(scratch, 'bin', command), script, { mode: 0o755 })
  }
  const versions: Record<string, string> = {}
  for (const deb of await readdir(join(scratch, 'debs'))) {
    const [name = '', version = ''] = deb.split('_')
    if (packages.includes(name)) versions[name] = decodeURIComponent(version)
  }
  const programs: Programs = { suite, versions }
  const made = join(scratch, 'made')
  await mkdir(made)
  for (const part of ['bin', 'root']) await rename(join(scratch, part), join(made, part))
  await writeFile(join(made, 'programs.json'), JSON.stringify(programs))
  return made
}
