import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lookAtProcesses } from './processes.ts'

/** Where it is looked up who uses what. */
export interface UserPlaces {
  /** @defaultValue /proc */
  proc?: string
  /** @defaultValue /sys/block */
  blocks?: string
}

/** A node, its partitions included. */
interface Parts {
  readonly names: readonly string[]
  /** Such as `43:0`. */
  readonly numbers: ReadonlySet<string>
  readonly users: Set<string>
}

/** Nodes that one look is for, and what it will have found. */
interface Look {
  readonly knames: Set<string>
  readonly found: Promise<ReadonlyMap<string, string[]>>
}

/**
 * Who uses a node or a partition of it, for people: mount points, swap, devices on top (dm, md), processes
 * that have it open, this one left out. Empty where nobody does; other mount namespaces are seen through
 * their processes, as far as privileges reach. Calls made together share one look at the processes of the host.
 */
export const nodeUsers: (kname: string) => Promise<string[]> = sharedLooks(usersOf)

/** Has calls share looks: each is answered by a look that began after it, and no two are under way at once. */
export function sharedLooks(
  look: (knames: ReadonlySet<string>) => Promise<ReadonlyMap<string, string[]>>,
): (kname: string) => Promise<string[]> {
  let next: Look | undefined
  let last: Promise<unknown> = Promise.resolve()
  const begin = (): Look => {
    const knames = new Set<string>()
    const found = last.then(async () => {
      // Others that want to know are often a few turns behind.
      await new Promise((resolve) => setImmediate(resolve))
      next = undefined
      return look(knames)
    })
    last = found.catch(() => {})
    return { knames, found }
  }
  return async (kname) => {
    next ??= begin()
    next.knames.add(kname)
    return (await next.found).get(kname) ?? []
  }
}

/** Users of several nodes, by one look at the processes. */
export async function usersOf(
  knames: ReadonlySet<string>,
  { proc = '/proc', blocks = '/sys/block' }: UserPlaces = {},
): Promise<ReadonlyMap<string, string[]>> {
  const nodes = new Map<string, Parts>()
  for (const kname of knames) nodes.set(kname, await partsOf(kname, blocks))
  const byFile = new Map<string, Parts>()
  const byNumber = new Map<string, Parts>()
  for (const parts of nodes.values()) {
    for (const name of parts.names) byFile.set(`/dev/${name}`, parts)
    for (const number of parts.numbers) byNumber.set(number, parts)
  }
  const mounted = (mountinfo: string, by: string): void => {
    // Some filesystems, btrfs among them, show a number that is not the device's.
    for (const { number, source, place } of mountsIn(mountinfo))
      (byNumber.get(number) ?? byFile.get(source))?.users.add(`mounted at ${place}${by}`)
  }
  mounted(await readFile(join(proc, 'self/mountinfo'), 'utf8').catch(() => ''), '')
  for (const file of await swapFiles(proc)) byFile.get(file)?.users.add(`swap on ${file}`)
  if (byNumber.size > 0) {
    await lookAtProcesses(proc, {
      files: byFile,
      opened: (path, process) => void byFile.get(path)?.users.add(process),
      mounts: (mountinfo, process) => mounted(mountinfo, ` for ${process}`),
    })
  }
  return new Map(Array.from(nodes, ([kname, { users }]) => [kname, [...users]]))
}

/** Nodes, such as `/dev/nbd0`, of `names` or their partitions that the kernel swaps to. */
export async function swapsOn(names: readonly string[]): Promise<string[]> {
  const files = await swapFiles('/proc')
  return files.filter((file) => names.some((name) => file === `/dev/${name}`))
}

async function swapFiles(proc: string): Promise<string[]> {
  const lines = (await readFile(join(proc, 'swaps'), 'utf8').catch(() => '')).split('\n').slice(1)
  return lines.flatMap((line) => line.split(/\s/, 1)).filter((file) => file !== '')
}

async function partsOf(kname: string, blocks: string): Promise<Parts> {
  const names = [kname, ...(await partitionsOf(kname, blocks))]
  const numbers = new Set<string>()
  const users = new Set<string>()
  for (const name of names) {
    const folder = name === kname ? join(blocks, kname) : join(blocks, kname, name)
    const number = await readFile(join(folder, 'dev'), 'utf8').catch(() => '')
    if (number !== '') numbers.add(number.trim())
    for (const holder of await readdir(join(folder, 'holders')).catch(() => [])) users.add(`device ${holder}`)
  }
  return { names, numbers, users }
}

async function partitionsOf(kname: string, blocks: string): Promise<string[]> {
  const entries = await readdir(join(blocks, kname)).catch(() => [])
  return entries.filter((name) => name.startsWith(`${kname}p`) && /^\d+$/.test(name.slice(kname.length + 1)))
}

// Fields of mountinfo (proc(5)): id, parent, major:minor, root, mount point, …, "-", type, source.
function mountsIn(mountinfo: string): { number: string; source: string; place: string }[] {
  return mountinfo.split('\n').map((line) => {
    const fields = line.split(' ')
    const [, , number = '', , place = ''] = fields
    return { number, source: fields[fields.indexOf('-') + 2] ?? '', place: place.replaceAll('\\040', ' ') }
  })
}
