import { existsSync } from 'node:fs'
import { lstat, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Debt, Ledger, LeftDebt, VolumeId } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { hasEnded, makeRunFolder, ownStart, runFolder } from '@blockbraid/linux'
import PQueue from 'p-queue'
import { debtName, decodeDebt, encodeDebt, readDebtName } from './debt-record.ts'

const AT_ONCE = 16

/**
 * Keeps what may be in flight in files, one for each path of each process, so that whoever comes after a process that
 * was killed knows of it. They end with the host: after it has started anew nothing is known of what was before.
 *
 * `folder` must not be on a disk that the same agent serves: what holds I/O until a file is written would wait for
 * itself. Left out: `fences` below $BLOCKBRAID_RUN, else below `/run/blockbraid`, which is root's, or below
 * `/run/user/UID/blockbraid`, or `/tmp/blockbraid-UID` on a host without that. `report` is told of records that
 * cannot be read, one line each.
 */
export function fileLedger(folder: string = defaultFolder(), report: (line: string) => void = () => {}): Ledger {
  return new FileLedger(folder, report)
}

function defaultFolder(): string {
  const uid = process.geteuid?.() ?? 0
  const own = process.env['BLOCKBRAID_RUN'] !== undefined || uid === 0 || existsSync(`/run/user/${uid}`)
  return join(own ? runFolder() : `/tmp/blockbraid-${uid}`, 'fences')
}

class FileLedger implements Ledger {
  readonly #folder: string
  readonly #report: (line: string) => void
  readonly #owner = { pid: process.pid, started: ownStart() }
  readonly #files = new PQueue({ concurrency: AT_ONCE })
  /** Files of this process by token. */
  readonly #own = new Map<string, string>()
  readonly #told = new Set<string>()
  #drafts = 0

  constructor(folder: string, report: (line: string) => void) {
    this.#folder = folder
    this.#report = report
  }

  put(debt: Debt): Promise<void> {
    return this.#files.add(async () => {
      // It may have been cleared away since.
      await makeRunFolder(this.#folder)
      await this.#refuseForeign()
      const name = debtName(debt, this.#owner)
      const draft = join(this.#folder, `.${name}.${++this.#drafts}`)
      try {
        await writeFile(draft, encodeDebt(debt), { mode: 0o600, flag: 'wx' })
        // Never half a record.
        await rename(draft, join(this.#folder, name))
      } catch (cause) {
        await rm(draft, { force: true }).catch(() => {})
        throw failed(`${this.#folder} takes no record`, cause)
      }
      this.#own.set(debt.token, name)
    })
  }

  drop(token: string): Promise<void> {
    return this.#files.add(async () => {
      const name = this.#own.get(token)
      if (name === undefined) return
      this.#own.delete(token)
      await rm(join(this.#folder, name), { force: true })
    })
  }

  async left(volume: VolumeId): Promise<readonly LeftDebt[]> {
    const names = await readdir(this.#folder).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return []
      throw failed(`${this.#folder} cannot be read`, cause)
    })
    if (names.length > 0) await this.#refuseForeign()
    const debts = await Promise.all(names.map((name) => this.#files.add(() => this.#read(name, volume))))
    return debts.filter((debt) => debt !== undefined)
  }

  async #read(name: string, volume: VolumeId): Promise<LeftDebt | undefined> {
    const draft = /^\.(.*)\.\d+$/.exec(name)?.[1]
    const about = readDebtName(draft ?? name, volume)
    const file = join(this.#folder, name)
    if (about === undefined) {
      this.#tell(name, `${file} is no record of blockbraid: it stays, and means nothing`)
      return undefined
    }
    if (!about.fits || !hasEnded(about)) return undefined
    const remove = (): Promise<void> => rm(file, { force: true })
    if (draft !== undefined) {
      // Its process was ended before it was whole, and so before anything was sent.
      await remove().catch(() => {})
      return undefined
    }
    const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return undefined
      return ''
    })
    // Settled meanwhile by another process.
    if (text === undefined) return undefined
    const owner = `process ${about.pid}`
    const debt = decodeDebt(text, name)
    if (debt !== undefined) return { ...debt, owner, settle: remove }
    // That something may come is known from its name alone; where, and what would prove its end, is not.
    const advice = `I/O of ${volume} waits until "blockbraid guards PAIR --release" says that nothing can come any more`
    this.#tell(name, `${file} of ${owner} is damaged: ${advice}`)
    return {
      volume,
      token: '',
      path: 'an unknown path',
      owner: `${owner}, whose record ${file} is damaged,`,
      settle: remove,
    }
  }

  #tell(name: string, line: string): void {
    if (this.#told.has(name)) return
    this.#told.add(name)
    this.#report(line)
  }

  /** In /tmp anybody can make the folder first. */
  async #refuseForeign(): Promise<void> {
    const stats = await lstat(this.#folder)
    if (stats.isDirectory() && stats.uid === process.geteuid?.() && (stats.mode & 0o022) === 0) return
    const advice = 'remove it, or let BLOCKBRAID_RUN name another folder'
    throw new BlockError('DENIED', `${this.#folder} belongs to another user or is open to others: ${advice}`)
  }
}

function failed(what: string, cause: unknown): Error {
  const why = (cause as NodeJS.ErrnoException).code ?? String(cause)
  return new Error(`${what} (${why}): BLOCKBRAID_RUN must name a folder that this user may write to`, { cause })
}
