import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { change, get, link, make, remove, set, unlink } from '../guest/configfs.ts'
import type { Backstore } from './backstore.ts'
import { ROOT } from './root.ts'

/** A portal group: one portal, which is one target port of every LUN. */
export interface GroupOptions {
  /** Its tag. */
  readonly tag: number
  /** `ADDRESS:PORT`. */
  readonly portal: string
}

/** Names and secrets of CHAP; `target` is what the target proves itself with. */
export interface ChapOptions {
  readonly user: string
  readonly secret: string
  readonly target?: { readonly user: string; readonly secret: string }
}

/** An iSCSI target of LIO. */
export interface LioTargetOptions {
  readonly name: string
  readonly groups: readonly GroupOptions[]
  /** LUN 0 and up. */
  readonly luns: readonly Backstore[]
  /** Initiators that may log in, each with every LUN; left out: everyone may (demo mode). */
  readonly initiators?: readonly string[] | undefined
  /** Left out: no authentication. */
  readonly chap?: ChapOptions
  /** Login keys of RFC 7143 §13, such as `{ HeaderDigest: 'CRC32C' }`. */
  readonly parameters?: Readonly<Record<string, string | number>>
}

/** A session, in the words of LIO. */
export interface LioSession {
  /** Unique until the target module is unloaded. */
  readonly id: number
  /** As LIO writes it. */
  readonly isid: string
  readonly connections: number
}

/** An iSCSI target of LIO. */
export interface LioTarget extends AsyncDisposable {
  readonly name: string
  /** Portals, as an initiator takes them. */
  readonly portals: readonly string[]
  /** Takes a portal group out, with every session through it, or back in. */
  setEnabled(tag: number, enabled: boolean): Promise<void>
  /** Session of an initiator (one of `initiators`) through a portal group. */
  session(tag: number, initiator: string): LioSession | undefined
  /** Number of sessions, through all portal groups. */
  sessions(): number
  /** A counter of it, such as `iscsi_login_stats/authenticate_fails`. */
  statistic(name: string): number
  /** Number of SCSI commands that came for a LUN through a portal group. */
  commands(tag: number, lun: number): number
  /** MiB of data that writes carried to a LUN through a portal group, rounded down. */
  written(tag: number, lun: number): number
  /** Makes a LUN read-only for an initiator, or lets it write again. */
  protect(lun: number, initiator: string, readOnly: boolean): void
  /** Adds a LUN. */
  addLun(lun: number, backstore: Backstore): void
  /** Takes a LUN away. */
  removeLun(lun: number): Promise<void>
}

/** Name of the target port group that a portal group's ports are in. */
export function groupName(tag: number): string {
  return `group${tag}`
}

/** Makes a target; disposing of it takes it down, its backstores stay. */
export function createTarget(options: LioTargetOptions): LioTarget {
  const root = make(join(ROOT, 'iscsi', options.name))
  // Where LIO keeps reservations; without it PERSISTENT RESERVE OUT ends with NOT READY, 08h/00h.
  mkdirSync(join(get(ROOT, 'dbroot'), 'pr'), { recursive: true })
  const present = new Map<number, Backstore>()
  const groupPath = (tag: number): string => join(root, `tpgt_${tag}`)
  const lunPath = (tag: number, lun: number): string => join(groupPath(tag), 'lun', `lun_${lun}`)
  const aclPath = (tag: number, initiator: string): string => join(groupPath(tag), 'acls', initiator)
  const { initiators = [], groups } = options

  const addLun = (lun: number, backstore: Backstore): void => {
    for (const { tag } of groups) {
      const path = make(lunPath(tag, lun))
      link(backstore.path, path)
      if (!existsSync(join(backstore.path, 'alua', groupName(tag)))) backstore.addGroup(groupName(tag), tag)
      set(path, 'alua_tg_pt_gp', groupName(tag))
      for (const initiator of initiators) {
        const mapped = make(join(aclPath(tag, initiator), `lun_${lun}`))
        link(path, mapped)
        set(mapped, 'write_protect', 0)
      }
    }
    present.set(lun, backstore)
  }
  const removeLun = async (lun: number): Promise<void> => {
    for (const { tag } of groups) {
      for (const initiator of initiators) {
        const mapped = join(aclPath(tag, initiator), `lun_${lun}`)
        await unlink(lunPath(tag, lun), mapped)
        await remove(mapped)
      }
      await unlink(present.get(lun)?.path ?? '', lunPath(tag, lun))
      await remove(lunPath(tag, lun))
    }
    present.delete(lun)
  }

  for (const group of groups) makeGroup(groupPath(group.tag), group, options)
  for (const [lun, backstore] of options.luns.entries()) addLun(lun, backstore)
  for (const { tag } of groups) set(groupPath(tag), 'enable', 1)

  return {
    name: options.name,
    portals: groups.map(({ portal }) => portal),
    setEnabled: (tag, enabled) => change(groupPath(tag), 'enable', enabled ? 1 : 0),
    session: (tag, initiator) => parseSession(get(aclPath(tag, initiator), 'info')),
    sessions: () => Number(get(root, 'fabric_statistics/iscsi_instance/sessions')),
    statistic: (name) => Number(get(root, `fabric_statistics/${name}`)),
    commands: (tag, lun) => Number(get(lunPath(tag, lun), 'statistics/scsi_tgt_port/in_cmds')),
    written: (tag, lun) => Number(get(lunPath(tag, lun), 'statistics/scsi_tgt_port/write_mbytes')),
    protect(lun, initiator, readOnly) {
      for (const { tag } of groups) set(join(aclPath(tag, initiator), `lun_${lun}`), 'write_protect', readOnly ? 1 : 0)
    },
    addLun,
    removeLun,
    async [Symbol.asyncDispose]() {
      for (const { tag } of groups) await change(groupPath(tag), 'enable', 0)
      for (const lun of [...present.keys()]) await removeLun(lun)
      for (const { tag } of groups) {
        for (const kind of ['acls', 'np']) {
          for (const name of readdirSync(join(groupPath(tag), kind))) await remove(join(groupPath(tag), kind, name))
        }
        await remove(groupPath(tag))
      }
      await remove(root)
    },
  }
}

function makeGroup(
  path: string,
  { portal }: GroupOptions,
  { initiators, chap, parameters = {} }: LioTargetOptions,
): void {
  make(join(path, 'np', portal))
  const open = initiators === undefined ? 1 : 0
  const attributes = {
    authentication: chap === undefined ? 0 : 1,
    generate_node_acls: open,
    cache_dynamic_acls: open,
    demo_mode_write_protect: 0,
    // Seconds; a login waits that long at most for an older session that has commands in the array.
    login_timeout: 5,
  }
  for (const [name, value] of Object.entries(attributes)) set(path, `attrib/${name}`, value)
  for (const [name, value] of Object.entries(parameters)) set(path, `param/${name}`, value)
  if (chap !== undefined) setChap(join(path, 'auth'), chap)
  for (const initiator of initiators ?? []) {
    const acl = make(join(path, 'acls', initiator))
    if (chap !== undefined) setChap(join(acl, 'auth'), chap)
  }
}

function setChap(path: string, { user, secret, target }: ChapOptions): void {
  set(path, 'userid', user)
  set(path, 'password', secret)
  if (target === undefined) return
  set(path, 'userid_mutual', target.user)
  set(path, 'password_mutual', target.secret)
}

/** Makes discovery ask for CHAP, or no longer. */
export function setDiscoveryChap(chap: ChapOptions | undefined): void {
  const path = join(ROOT, 'iscsi', 'discovery_auth')
  if (chap !== undefined) setChap(path, chap)
  set(path, 'enforce_discovery_auth', chap === undefined ? 0 : 1)
}

function parseSession(info: string): LioSession | undefined {
  const id = /LIO Session ID: (\d+)/.exec(info)?.[1]
  if (id === undefined) return undefined
  return {
    id: Number(id),
    isid: /ISID: (0x[0-9a-f ]+)/.exec(info)?.[1]?.trim() ?? '',
    connections: info.match(/^CID: /gm)?.length ?? 0,
  }
}
