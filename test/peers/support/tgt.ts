import { truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { it } from 'vitest'
import type { Folder } from './bed.ts'
import { openFolder } from './bed.ts'
import type { Running } from './tools.ts'
import { start, succeed } from './tools.ts'

// tgtd runs as anybody, but tgtadm is obeyed only where it is root.
const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('not root: tgtadm is not allowed to configure tgtd, its tests are skipped')

/** `it`, where tgt can be configured. */
export const itWithTgt: ReturnType<typeof it.skipIf> = it.skipIf(!isRoot)

/** Options of a private tgtd. */
export interface TgtOptions {
  /** Seconds between NOP-Ins, and how many may stay unanswered; none where it is left out. */
  readonly nop?: { readonly interval: number; readonly count: number }
  /** A shared object that tgtd loads before the C library, and variables for it. */
  readonly preload?: { readonly object: string; readonly env: Readonly<Record<string, string>> }
}

/** Options of a target. */
export interface TgtTargetOptions {
  /** @defaultValue a new one */
  readonly name?: string
  /** Who may log in, and with what. */
  readonly chap?: TgtAccount
  /** How the target proves itself (mutual CHAP). */
  readonly outgoing?: TgtAccount
  /** Target parameters by the names of tgtadm, such as MaxRecvDataSegmentLength. */
  readonly params?: TgtParams
}

export interface TgtAccount {
  readonly user: string
  /** At least 12 characters. */
  readonly secret: string
}

export type TgtParams = Readonly<Record<string, string | number | boolean>>

/** Options of a logical unit: backed by a file of `size`, or by nothing. */
export interface TgtLunOptions {
  /** @defaultValue the next one, from 1: 0 is tgt's controller */
  readonly lun?: number
  /** Bytes of a new sparse file; no more than its end is written. @defaultValue 64 MiB */
  readonly size?: number
  /** A file that stands already, instead of a new one. */
  readonly file?: string
  /** Reads give anything, writes go nowhere, 1 TB (--bstype null). */
  readonly none?: boolean
  /** @defaultValue 512 */
  readonly blockSize?: 512 | 4096
  /** Unit parameters by the names of tgtadm, such as scsi_id, scsi_sn, thin_provisioning. */
  readonly params?: TgtParams
}

export interface TgtLun {
  readonly lun: number
  /** What backs it; an empty text where nothing does. */
  readonly file: string
  /** Makes it larger, the way tgt can: off line, reopened, back. Initiators are not told. */
  grow(size: number): Promise<void>
  update(params: TgtParams): Promise<void>
  remove(): Promise<void>
}

export interface TgtTarget {
  readonly tid: number
  readonly name: string
  addLun(options?: TgtLunOptions): Promise<TgtLun>
  set(params: TgtParams): Promise<void>
  /** Takes it away, sessions or not. */
  remove(): Promise<void>
  /** Ids of the sessions that are open, sorted. */
  sessions(): Promise<string[]>
  /** Cuts the connection of a session. */
  kick(session: string): Promise<void>
}

/** A tgtd with two portals on loopback addresses and a control socket of its own. */
export interface Tgt extends AsyncDisposable {
  readonly folder: Folder
  /** 127.0.0.1 and 127.0.0.2, as `host:port`; every target is behind both. */
  readonly portals: readonly [string, string]
  /** Process id of the tgtd that runs. */
  readonly pid: number
  addTarget(options?: TgtTargetOptions): Promise<TgtTarget>
  /** Runs tgtadm; not repeated by `restart`. */
  adm(...args: string[]): Promise<string>
  /** SIGKILL: sessions end without a word. */
  kill(): Promise<void>
  /** Starts tgtd again after `kill`, with the same targets on the same portals. */
  restart(): Promise<void>
}

// tgt makes identities of these numbers: two tgtd must not have the same.
let tids = 0

/** Starts a tgtd. It ends with the bed, or at the end of the test. */
export async function openTgt(options: TgtOptions = {}): Promise<Tgt> {
  const folder = await openFolder()
  const port = await freePort()
  const portals = [`127.0.0.1:${port}`, `127.0.0.2:${port}`] as const
  const env = { TGT_IPC_SOCKET: folder.at('control') }
  // What restart repeats.
  const steps: string[][] = []
  let daemon: Running | undefined

  const adm = (...args: string[]): Promise<string> => succeed('tgtadm', ['--lld', 'iscsi', ...args], { env })
  const configure = async (...args: string[]): Promise<void> => {
    await adm(...args)
    steps.push(args)
  }
  const launch = async (): Promise<void> => {
    const iscsi = portals.map((portal) => `portal=${portal}`)
    if (options.nop) iscsi.push(`nop_interval=${options.nop.interval}`, `nop_count=${options.nop.count}`)
    daemon = start('tgtd', ['-f', '--iscsi', iscsi.join(',')], {
      limit: 600_000,
      env: { ...env, ...(options.preload && { ...options.preload.env, LD_PRELOAD: options.preload.object }) },
    })
    // As Debian's unit does it: nobody is let in before everything stands.
    await untilReady(daemon, () => adm('--op', 'update', '--mode', 'sys', '--name', 'State', '-v', 'offline'))
    for (const step of steps) await adm(...step)
    await adm('--op', 'update', '--mode', 'sys', '--name', 'State', '-v', 'ready')
  }
  const kill = async (): Promise<void> => {
    daemon?.kill('SIGKILL')
    await daemon?.ended
  }
  const close = async (): Promise<void> => {
    await kill()
    await folder[Symbol.asyncDispose]()
  }
  try {
    await launch()
  } catch (error) {
    await close()
    throw error
  }
  return {
    folder,
    portals,
    get pid() {
      return daemon?.pid ?? -1
    },
    addTarget: (target) => addTarget(folder, adm, configure, target),
    adm,
    kill,
    restart: launch,
    [Symbol.asyncDispose]: close,
  }
}

type Command = (...args: string[]) => Promise<void>

async function addTarget(
  folder: Folder,
  adm: (...args: string[]) => Promise<string>,
  configure: Command,
  { name, chap, outgoing, params = {} }: TgtTargetOptions = {},
): Promise<TgtTarget> {
  const tid = ++tids
  const id = ['--tid', String(tid)]
  const iqn = name ?? `iqn.2026-11.test.tgt:disk${tid}`
  await configure('--op', 'new', '--mode', 'target', ...id, '-T', iqn)
  const set = async (values: TgtParams): Promise<void> => {
    for (const [key, value] of Object.entries(values)) {
      await configure('--op', 'update', '--mode', 'target', ...id, '-n', key, '-v', tgtValue(value, 'Yes', 'No'))
    }
  }
  await set(params)
  for (const [account, direction] of [[chap, []] as const, [outgoing, ['--outgoing']] as const]) {
    if (account === undefined) continue
    const user = ['--mode', 'account', '--user', account.user]
    await configure('--op', 'new', ...user, '--password', account.secret)
    await configure('--op', 'bind', ...id, ...user, ...direction)
  }
  await configure('--op', 'bind', '--mode', 'target', ...id, '-I', 'ALL')
  const show = (): Promise<string> => adm('--op', 'show', '--mode', 'target')
  let luns = 0
  return {
    tid,
    name: iqn,
    set,
    remove: () => configure('--op', 'delete', '--mode', 'target', ...id, '--force'),
    addLun: (options = {}) => addLun(folder, configure, tid, { lun: ++luns, ...options }),
    async sessions() {
      const own = (await show()).split(/^(?=Target )/m).find((text) => text.startsWith(`Target ${tid}:`)) ?? ''
      return [...own.matchAll(/I_T nexus: (\d+)/g)].map(([, session]) => session!).sort()
    },
    async kick(session) {
      await adm('--op', 'delete', '--mode', 'conn', ...id, '--sid', session, '--cid', '0')
    },
  }
}

async function addLun(
  folder: Folder,
  configure: Command,
  tid: number,
  { lun = 1, size = 64 * 2 ** 20, file, none = false, blockSize = 512, params = {} }: TgtLunOptions,
): Promise<TgtLun> {
  const unit = ['--mode', 'logicalunit', '--tid', String(tid), '--lun', String(lun)]
  const backing = file ?? folder.at(`disk${tid}-${lun}`)
  if (file === undefined && !none) {
    await writeFile(backing, '')
    await truncate(backing, size)
  }
  const type = none ? ['--bstype', 'null'] : []
  await configure('--op', 'new', ...unit, '-b', backing, '--blocksize', String(blockSize), ...type)
  const update = async (values: TgtParams): Promise<void> => {
    const list = Object.entries(values).map(([key, value]) => `${key}=${tgtValue(value, '1', '0')}`)
    if (list.length > 0) await configure('--op', 'update', ...unit, '--params', list.join(','))
  }
  await update(params)
  return {
    lun,
    file: none ? '' : backing,
    update,
    async grow(to) {
      await truncate(backing, to)
      await update({ online: false })
      await update({ path: backing })
    },
    async remove() {
      await configure('--op', 'delete', ...unit)
    },
  }
}

function tgtValue(value: string | number | boolean, yes: string, no: string): string {
  return typeof value === 'boolean' ? (value ? yes : no) : String(value)
}

/** Repeats `call` until the daemon obeys. */
async function untilReady(daemon: Running, call: () => Promise<unknown>): Promise<void> {
  let ended = false
  void daemon.ended.then(() => (ended = true))
  for (;;) {
    try {
      await call()
      return
    } catch (error) {
      if (ended) throw new Error(`tgtd did not start: ${(await daemon.ended).stderr}`, { cause: error })
      await sleep(20)
    }
  }
}

/** A port that is free on both loopback addresses. */
async function freePort(): Promise<number> {
  for (;;) {
    const one = await listen('127.0.0.1', 0)
    const two = one === undefined ? undefined : await listen('127.0.0.2', one.port)
    await one?.close()
    await two?.close()
    if (one !== undefined && two !== undefined) return one.port
  }
}

function listen(host: string, port: number): Promise<{ port: number; close(): Promise<void> } | undefined> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined))
    server.listen(port, host, () => {
      const address = server.address()
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : 0,
        close: () => new Promise((done) => void server.close(() => done())),
      })
    })
  })
}
