import { readFileSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type DiskWords, diskFields } from './disk-words.ts'

/** What a process has written down about a kernel node that it serves. */
export interface NodeRecord {
  /** Name of the pair. */
  readonly name: string
  /** Identity of the volume. */
  readonly volume: string
  /** Process that serves it, or did. */
  readonly pid: number
  /** When that process started, as field 22 of /proc/PID/stat tells it: clock ticks since boot. */
  readonly started: string
}

/**
 * Where processes leave each other word, gone when the host starts anew: $BLOCKBRAID_RUN, else `/run/blockbraid`,
 * which is root's, or `/run/user/UID/blockbraid` for another user.
 */
export function runFolder(): string {
  const uid = process.geteuid?.() ?? 0
  const standard = uid === 0 ? '/run/blockbraid' : `/run/user/${uid}/blockbraid`
  return process.env['BLOCKBRAID_RUN'] ?? standard
}

/** Folder of the records: `nodes` in the {@link runFolder}. */
export function recordFolder(): string {
  return join(runFolder(), 'nodes')
}

// Lines that udev's IMPORT{file} takes.
const FIELDS = { name: 'BLOCKBRAID_NAME', volume: 'BLOCKBRAID_VOLUME', pid: 'BLOCKBRAID_PID' } as const
const STARTED = 'BLOCKBRAID_STARTED'
// What udev reads back as it is: no line ends, no quote or space in front, no space behind.
const PLAIN = /^([\x21\x23-\x26\x28-\x7e]([\x20-\x7e]*[\x21-\x7e])?)?$/

/** Writes down that this process serves a node, `nbd0` or `ublkb0`, and what disk it is. Throws a TypeError for what one line cannot hold. */
export async function writeNodeRecord(
  kname: string,
  { name, ...words }: Pick<NodeRecord, 'name'> & DiskWords,
): Promise<void> {
  const { volume } = words
  for (const [field, value] of Object.entries({ name, volume })) {
    if (!PLAIN.test(value))
      throw new TypeError(
        `${field} is ${JSON.stringify(value)}; it must be printable ASCII, without a quote or a space in front or a space behind`,
      )
  }
  const file = fileOf(kname)
  const lines = [
    `${FIELDS.name}=${name}`,
    `${FIELDS.volume}=${volume}`,
    `${FIELDS.pid}=${process.pid}`,
    `${STARTED}=${ownStart()}`,
    ...Array.from(diskFields(words), ([field, value]) => `${field}=${value}`),
  ]
  const folder = await makeRecordFolder()
  // Never half a record: whoever reads it decides whether a node is an orphan.
  const draft = join(folder, `.${kname}.${process.pid}`)
  await writeFile(draft, `${lines.join('\n')}\n`, { mode: 0o644 })
  await rename(draft, file)
}

/** Makes the folder of the records, and tells it. */
export async function makeRecordFolder(): Promise<string> {
  const folder = recordFolder()
  await makeRunFolder(folder)
  return folder
}

/**
 * Makes a folder in the {@link runFolder}. Whoever can write there decides what of a process is an orphan: never all,
 * whatever the umask. Rejects with an Error that says so where it cannot be made.
 */
export async function makeRunFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o755 }).catch((cause: NodeJS.ErrnoException) => {
    const text = `${folder} cannot be made (${cause.code}): BLOCKBRAID_RUN must name a folder that this user may write to`
    throw new Error(text, { cause })
  })
}

/** Forgets a node; with `of` only where the record is still that one: the number may be another node's by now. */
export async function removeNodeRecord(kname: string, of?: Pick<NodeRecord, 'name' | 'volume' | 'pid'>): Promise<void> {
  const now = of && (await readNodeRecord(kname))
  if (now?.name !== of?.name || now?.volume !== of?.volume || now?.pid !== of?.pid) return
  await rm(fileOf(kname), { force: true })
}

/** The record of a node; undefined where there is none. */
export async function readNodeRecord(kname: string): Promise<NodeRecord | undefined> {
  const text = await readFile(fileOf(kname), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const fields = new Map(text.split('\n').map((line) => splitAt(line, '=')))
  return {
    name: fields.get(FIELDS.name) ?? '',
    volume: fields.get(FIELDS.volume) ?? '',
    pid: Number(fields.get(FIELDS.pid) ?? 0),
    started: fields.get(STARTED) ?? '',
  }
}

/** Whether the process of a record still runs; another one with its number does not count. */
export function isServed({ pid, started }: Pick<NodeRecord, 'pid' | 'started'>): boolean {
  return pid > 0 && startOf(pid) === started
}

/**
 * Whether a process has ended, or is about to: one that was killed sends nothing any more, though the kernel may
 * take long to close what it had open. Another one with its number does not count.
 */
export function hasEnded({ pid, started }: Pick<NodeRecord, 'pid' | 'started'>): boolean {
  const stat = statOf(pid)
  return stat?.started !== started || (stat.flags & EXITING) !== 0
}

/** When this process started; see {@link NodeRecord.started}. */
export function ownStart(): string {
  return startOf(process.pid) ?? ''
}

function fileOf(kname: string): string {
  if (!/^[a-z0-9]+$/.test(kname)) throw new TypeError(`kname is ${JSON.stringify(kname)}; it must be like nbd0`)
  return join(recordFolder(), kname)
}

function startOf(pid: number): string | undefined {
  return statOf(pid)?.started
}

// PF_EXITING of the kernel's flags of a task.
const EXITING = 0x4

function statOf(pid: number): { started: string | undefined; flags: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is a name in brackets that may hold anything.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie serves nothing: its descriptors are closed.
    return state === 'Z' || state === 'X' ? undefined : { started: fields[18], flags: Number(fields[5]) }
  } catch {
    return undefined
  }
}

function splitAt(line: string, mark: string): [string, string] {
  const at = line.indexOf(mark)
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)]
}
