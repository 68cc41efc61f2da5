import type { Stats } from 'node:fs'
import { lstat, readFile, readlink, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** How somebody else could exchange a file. */
export interface Stranger {
  /** What they can write, or whose it is: `everybody can write /srv (mode 777)`. */
  readonly what: string
  /** A command that ends that. */
  readonly cure: string
}

/** More links than that in one path are a circle. */
const MAX_LINKS = 40

/**
 * Looks at a file and at every folder and link on the way to it. Undefined where nobody can exchange it but root, this
 * user, and whoever owns the command itself, a folder above it, or has run it with sudo. Rejects where something on the way is not there.
 */
export async function strangerAt(path: string): Promise<Stranger | undefined> {
  const trusted = await trustedUsers()
  let steps = path.split('/')
  let folder = '/'
  for (let links = 0; steps.length > 0; ) {
    const [step, ...rest] = steps as [string, ...string[]]
    steps = rest
    const here = join(folder, step)
    const stats = await lstat(here)
    const stranger = await strangerOf(here, stats, trusted)
    if (stranger !== undefined) return stranger
    if (!stats.isSymbolicLink()) folder = here
    else if (++links > MAX_LINKS) return { what: `${path} has more than ${MAX_LINKS} links`, cure: `ls -l ${here}` }
    else {
      const target = await readlink(here)
      if (target.startsWith('/')) folder = '/'
      steps = [...target.split('/'), ...rest]
    }
  }
  return undefined
}

async function strangerOf(path: string, stats: Stats, trusted: ReadonlySet<number>): Promise<Stranger | undefined> {
  const { uid, gid, mode } = stats
  if (!trusted.has(uid)) return { what: `${path} belongs to user ${uid}`, cure: `chown ${[...trusted][0]} ${path}` }
  // Of a link only its owner says something.
  if (stats.isSymbolicLink()) return undefined
  const isOpen = (mode & 0o002) !== 0
  if (!isOpen && ((mode & 0o020) === 0 || (await isPrivate(gid, trusted)))) return undefined
  const who = isOpen ? 'everybody' : `group ${gid}`
  const shown = (mode & 0o7777).toString(8)
  // In a sticky folder, such as /tmp, each may remove only what is theirs, and whose the next step is, is looked at.
  if (!stats.isDirectory() || (mode & 0o1000) === 0) {
    return { what: `${who} can write ${path} (mode ${shown})`, cure: `chmod ${isOpen ? 'o' : 'g'}-w ${path}` }
  }
  // But anybody may put there what Node looks for in every folder above a module.
  const packages = join(path, 'node_modules')
  const owner = (await lstat(packages).catch(() => undefined))?.uid
  if (owner === undefined || trusted.has(owner)) return undefined
  return { what: `${packages}, where Node looks for packages, belongs to user ${owner}`, cure: `rm -r ${packages}` }
}

/** Users who decide what this process runs, this one first: whoever owns the command, or a folder above it, can. */
async function trustedUsers(): Promise<ReadonlySet<number>> {
  const self = process.geteuid?.() ?? 0
  const users = new Set([self, 0])
  for (let path = fileURLToPath(import.meta.url); ; path = dirname(path)) {
    users.add((await stat(path)).uid)
    if (path === dirname(path)) break
  }
  const sudo = Number(process.env['SUDO_UID'])
  if (self === 0 && Number.isSafeInteger(sudo)) users.add(sudo)
  return users
}

/** Whether nobody but trusted users is in a group, as far as this host's files tell. */
async function isPrivate(gid: number, trusted: ReadonlySet<number>): Promise<boolean> {
  if (gid === 0) return true
  const [users, groups] = await Promise.all(['/etc/passwd', '/etc/group'].map(readTable))
  const members = groups!.filter(([, , id]) => Number(id) === gid).map(([, , , names = '']) => names.split(','))
  const named = new Set(members.flat())
  const inGroup = users!.filter(([name = '', , , primary]) => Number(primary) === gid || named.has(name))
  return members.length > 0 && inGroup.every(([, , uid]) => trusted.has(Number(uid)))
}

async function readTable(file: string): Promise<string[][]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.split('\n').map((line) => line.split(':'))
}
