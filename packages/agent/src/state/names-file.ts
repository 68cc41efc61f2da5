import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ErrorCode } from '@blockbraid/core'
import { BlockError, messageOf } from '@blockbraid/core'
import { claimFile } from '@blockbraid/linux'
import type { NameRecord } from './name-record.ts'

/** Name of the file in the state folder. */
export const NAMES_FILE = 'names.json'

const VERSION = 1
const MAX_BYTES = 16 * 1024 * 1024
/** How long another process may hold the file, milliseconds: it reads and writes it once. */
const LOCK_TIME = 10_000
const LOCK_STEP = 20

const texts = ['name', 'template', 'volume', 'since', 'seen', 'control', 'folder'] as const

/** What stands in a file of names; nothing where there is none. Rejects with PROTOCOL where it is damaged. */
export async function readNames(file: string): Promise<readonly NameRecord[]> {
  let text: string
  try {
    await using handle = await open(file)
    if ((await handle.stat()).size > MAX_BYTES) throw damaged(file, `it is larger than ${MAX_BYTES} bytes`)
    text = await readFile(handle, 'utf8')
  } catch (error) {
    if (BlockError.is(error)) throw error
    const { code } = error as NodeJS.ErrnoException
    // What is wrong with the folder is told by whoever writes.
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw failed(`cannot read ${file}, which keeps the names of volumes`, error)
  }
  return parse(text, file)
}

/**
 * Changes a file of names while no other process does. `change` is given what stands there and returns what shall,
 * or undefined to leave it. The file is replaced as a whole, and is on the disk when this resolves.
 */
export async function changeNames(
  file: string,
  change: (records: readonly NameRecord[]) => readonly NameRecord[] | undefined,
): Promise<void> {
  const letGo = await lock(file)
  try {
    const records = change(await readNames(file))
    if (records !== undefined) await replace(file, format(records))
  } finally {
    await letGo()
  }
}

async function lock(file: string): Promise<() => Promise<void>> {
  for (let waited = 0; ; waited += LOCK_STEP) {
    const held = await claim(file)
    if (typeof held === 'function') return held
    if (waited >= LOCK_TIME)
      throw new BlockError('TIMED_OUT', `process ${held} has held ${file} for ${LOCK_TIME / 1000} s: end it`)
    await sleep(LOCK_STEP)
  }
}

async function claim(file: string): Promise<(() => Promise<void>) | number> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o755 })
    return await claimFile(`${file}.lock`)
  } catch (error) {
    throw unwritable(file, error)
  }
}

async function replace(file: string, text: string): Promise<void> {
  const draft = `${file}.${process.pid}.new`
  try {
    await using handle = await open(draft, 'w', 0o644)
    await handle.writeFile(text)
    await handle.sync()
    await rename(draft, file)
    await using folder = await open(dirname(file))
    await folder.sync()
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {})
    throw unwritable(file, error)
  }
}

function unwritable(file: string, error: unknown): BlockError {
  const advice = 'make that folder writable, or name another as "state:" in the config or in BLOCKBRAID_STATE'
  return failed(`cannot keep the names of volumes in ${dirname(file)}`, error, advice)
}

function failed(what: string, error: unknown, advice?: string): BlockError {
  const { code } = error as NodeJS.ErrnoException
  const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
  const kind: ErrorCode = denied ? 'DENIED' : 'IO_FAILED'
  return new BlockError(kind, `${what}: ${messageOf(error)}${advice === undefined ? '' : `; ${advice}`}`, {
    cause: error,
  })
}

function damaged(file: string, why: string): BlockError {
  const cure = 'put a copy of it back, or remove it: then names are given anew, in the order of discovery'
  return new BlockError('PROTOCOL', `${file} keeps the names of volumes and is damaged: ${why}; ${cure}`)
}

/** One record a line, so that people can read it. */
function format(records: readonly NameRecord[]): string {
  const lines = records.map((record) => `  ${JSON.stringify(record)}`).join(',\n')
  return `{ "version": ${VERSION}, "names": [\n${lines}\n] }\n`
}

function parse(text: string, file: string): readonly NameRecord[] {
  let value: { version?: unknown; names?: unknown } | null
  try {
    value = JSON.parse(text) as typeof value
  } catch (error) {
    throw damaged(file, messageOf(error))
  }
  if (typeof value !== 'object' || value === null) throw damaged(file, 'it is not a JSON object')
  if (value.version !== VERSION)
    throw damaged(file, `its version is ${JSON.stringify(value.version)?.slice(0, 20)}, and ${VERSION} is known here`)
  if (!Array.isArray(value.names)) throw damaged(file, 'it has no list of names')
  return value.names.map((one: unknown, index) => {
    const record = (typeof one === 'object' && one !== null ? one : {}) as Record<string, unknown>
    const missing = texts.find((field) => typeof record[field] !== 'string')
    if (missing !== undefined) throw damaged(file, `names[${index}].${missing} is not a text`)
    const { n } = record
    if (n !== null && (!Number.isSafeInteger(n) || (n as number) < 0))
      throw damaged(file, `names[${index}].n is neither null nor a whole number`)
    return record as unknown as NameRecord
  })
}
