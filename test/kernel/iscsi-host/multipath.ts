import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../guest/wait.ts'
import { daemon, judge, ROOT } from '../judges/root.ts'
import { startUdev } from '../judges/udev.ts'

const settings = {
  find_multipaths: 'no',
  user_friendly_names: 'no',
  // Seconds.
  polling_interval: 1,
  max_polling_interval: 1,
  path_grouping_policy: 'group_by_prio',
  prio: 'alua',
  path_checker: 'tur',
  failback: 'immediate',
  no_path_retry: 'queue',
  // Seconds until a session that is down gives its commands back; open-iscsi's own value is overwritten.
  fast_io_fail_tmo: 2,
}

/** A path, in the words of multipathd. */
export interface HostPath {
  /** Such as `sda`. */
  readonly dev: string
  /** What the kernel's dm-multipath takes it for: `active` or `failed`. */
  readonly dm: string
  /** What the path checker says: `ready`, `ghost`, `faulty`, … */
  readonly check: string
  /** 50 active/optimized, 10 active/non-optimized, 5 unavailable, 1 standby. */
  readonly priority: number
  /** Which path group it is in; 1 is the best. */
  readonly group: number
  /** Whether that group is the one that the kernel has chosen; it chooses with the next I/O. */
  readonly used: boolean
}

interface MapsJson {
  readonly maps: readonly {
    readonly uuid: string
    readonly path_groups: readonly {
      readonly group: number
      readonly dm_st: string
      readonly paths: readonly {
        readonly dev: string
        readonly dm_st: string
        readonly chk_st: string
        readonly pri: number
      }[]
    }[]
  }[]
}

let started: Promise<void> | undefined

/** Starts multipathd, which makes a map of whatever SCSI disk comes. */
export function startMultipath(): Promise<void> {
  return (started ??= run())
}

async function run(): Promise<void> {
  await startUdev()
  const lines = Object.entries(settings).map(([name, value]) => `  ${name} ${value}`)
  writeFileSync(join(ROOT, 'etc/multipath.conf'), `defaults {\n${lines.join('\n')}\n}\n`)
  daemon('multipathd', ['-d'])
  await until('multipathd answers', async () =>
    judge('multipathd', 'show', 'daemon').then(
      (words) => words.includes('idle'),
      () => false,
    ),
  )
}

/** Paths of a map, by its WWID; none where there is no such map. */
export async function hostPaths(wwid: string): Promise<HostPath[]> {
  const { maps } = JSON.parse(await judge('multipathd', 'show', 'maps', 'json')) as MapsJson
  const groups = maps.find(({ uuid }) => uuid === wwid)?.path_groups ?? []
  return groups.flatMap(({ group, dm_st, paths }) =>
    paths.map((path) => ({
      dev: path.dev,
      dm: path.dm_st,
      check: path.chk_st,
      priority: path.pri,
      group,
      used: dm_st === 'active',
    })),
  )
}
