import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/** What is told of processes; each is named as people know it. */
export interface ProcessNews {
  /** Paths, such as `/dev/nbd0`, that {@link ProcessNews.opened} is called for. */
  readonly files: { has(path: string): boolean }
  /** It has one of them open. */
  opened(path: string, process: string): void
  /** `mountinfo` of a mount namespace that is not ours, as a process there sees it. */
  mounts(mountinfo: string, process: string): void
}

/** Processes looked at beside each other, and open files of each: one after the other takes seven times as long. */
const PROCESSES = 8
const FILES = 64

/** Looks once at all processes of `proc`, this one left out, as far as privileges reach. */
export async function lookAtProcesses(proc: string, news: ProcessNews): Promise<void> {
  const own = await linkOf(join(proc, 'self/ns/mnt'))
  const views = new Map<string, string>()
  const pids = (await readdir(proc)).filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
  pids.sort((a, b) => Number(a) - Number(b))
  await inParts(pids, PROCESSES, async (pid) => {
    const folder = join(proc, pid)
    for (const path of await openFiles(join(folder, 'fd'), news.files)) news.opened(path, await nameOf(folder, pid))
    const namespace = await linkOf(join(folder, 'ns/mnt'))
    // Whoever has another root there sees other mounts.
    if (namespace !== '' && namespace !== own) views.set(pid, `${namespace} ${await linkOf(join(folder, 'root'))}`)
  })
  const told = new Set<string>()
  // In their order, so that the same one is named each time.
  for (const pid of pids) {
    const view = views.get(pid)
    if (view === undefined || told.has(view)) continue
    const mountinfo = await readFile(join(proc, pid, 'mountinfo'), 'utf8').catch(() => '')
    // It has ended meanwhile: another may tell.
    if (mountinfo === '') continue
    told.add(view)
    news.mounts(mountinfo, await nameOf(join(proc, pid), pid))
  }
}

async function openFiles(folder: string, files: ProcessNews['files']): Promise<Set<string>> {
  const found = new Set<string>()
  await inParts(await readdir(folder).catch(() => []), FILES, async (fd) => {
    const path = await linkOf(join(folder, fd))
    if (files.has(path)) found.add(path)
  })
  return found
}

async function nameOf(folder: string, pid: string): Promise<string> {
  const command = await readFile(join(folder, 'comm'), 'utf8').catch(() => '?')
  return `process ${pid} (${command.trim()})`
}

function linkOf(path: string): Promise<string> {
  return readlink(path).catch(() => '')
}

async function inParts<Item>(items: readonly Item[], size: number, work: (item: Item) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += size) await Promise.all(items.slice(at, at + size).map(work))
}
