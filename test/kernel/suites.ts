/** Tests that run inside one machine, in one process. */
export interface KernelSuite {
  readonly name: string
  readonly about: string
  /** Modules loaded before, in order. Where the kernel has one of them not, the suite is not run. */
  readonly modules: readonly string[]
  /** Test files, in order, from this folder. */
  readonly files: readonly string[]
  /** Those of the short set; none where left out. */
  readonly short?: readonly string[]
  /** Seconds that it may take; emulation on a busy machine is slow. */
  readonly limit: number
  /** Whether it uses the programs of `test/debian/judges.ts`; their root is in BLOCKBRAID_JUDGES. */
  readonly judges?: boolean
  /** Added to the environment of its process. */
  readonly env?: Readonly<Record<string, string>>
}

const lio = (names: readonly string[]): string[] => names.map((name) => `lio/${name}.test.ts`)
const ublk = (names: readonly string[]): string[] => names.map((name) => `ublk/${name}.test.ts`)
const node = (names: readonly string[]): string[] => names.map((name) => `node/${name}.test.ts`)

/** The same tests for every transport that makes kernel block devices. */
const nodeFiles = node([
  'filesystems',
  'data',
  'cache',
  'paths',
  'grow',
  'limits',
  'kill',
  'crash',
  'late',
  'iscsi',
  'lost',
  'many',
  'teardown',
])
const nodeShort = node(['filesystems', 'kill'])
const lioModules = ['target_core_mod', 'target_core_file', 'target_core_iblock', 'iscsi_target_mod', 'loop', 'dm_mod']
const nodeModules = ['ext4', 'xfs', ...lioModules]

const nvmet = (names: readonly string[]): string[] => names.map((name) => `nvmet/${name}.test.ts`)
const nvmeHost = (names: readonly string[]): string[] => names.map((name) => `nvme-host/${name}.test.ts`)
const iscsiHost = (names: readonly string[]): string[] => names.map((name) => `iscsi-host/${name}.test.ts`)

/** Every suite. */
export const suites: readonly KernelSuite[] = [
  {
    name: 'lio',
    about: 'target-iscsi against the iSCSI target of the kernel',
    modules: lioModules,
    files: lio([
      'discovery',
      'login',
      'digests',
      'data',
      'ranges',
      'news',
      'access',
      'reservations',
      'agent',
      'fence',
      'teardown',
    ]),
    short: lio(['discovery', 'login', 'data', 'ranges', 'access', 'reservations']),
    limit: 900,
  },
  {
    name: 'nvmet',
    about: 'target-nvmeof against the NVMe target of the kernel',
    modules: ['nvmet_tcp', 'nvme_tcp', 'loop', 'dm_mod', 'tls', 'ublk_drv'],
    files: nvmet(['judge', 'agree', 'data', 'news', 'access', 'reservations', 'fence', 'node', 'auth', 'tls']),
    short: nvmet(['agree', 'news', 'fence']),
    limit: 900,
    judges: true,
  },
  {
    name: 'nvme-host',
    about: "array-nvmeof against the kernel's own initiator with native multipath, and nvme-cli",
    modules: ['nvme_tcp', 'tls', 'ext4'],
    files: nvmeHost(['connect', 'data', 'states', 'deaths', 'faults', 'secured']),
    short: nvmeHost(['states', 'deaths']),
    limit: 1200,
    judges: true,
  },
  {
    name: 'iscsi-host',
    about: "array-iscsi against the kernel's own initiator, open-iscsi and dm-multipath",
    modules: ['iscsi_tcp', 'sd_mod', 'scsi_dh_alua', 'dm_multipath', 'dm_round_robin', 'dm_service_time', 'ext4'],
    files: iscsiHost(['connect', 'data', 'states', 'deaths', 'volumes', 'faults']),
    short: iscsiHost(['states', 'deaths']),
    limit: 900,
    judges: true,
  },
  {
    name: 'linux',
    about: 'the native addon: io_uring, netlink, ioctl, what a process tells the kernel',
    modules: ['nbd', 'loop'],
    files: ['linux/addon.test.ts'],
    short: ['linux/addon.test.ts'],
    limit: 300,
  },
  {
    name: 'nbd',
    about: 'applications and filesystems on /dev/nbdN',
    modules: ['nbd', ...nodeModules],
    files: nodeFiles,
    short: nodeShort,
    limit: 2700,
    env: { BLOCKBRAID_NODE: 'nbd' },
  },
  {
    name: 'nbd-driver',
    about: 'transport-nbd against the nbd driver',
    modules: ['nbd', 'ext4'],
    files: ['nbd/attach.test.ts', 'nbd/detach.test.ts', 'nbd/crash.test.ts'],
    limit: 900,
  },
  {
    name: 'ublk',
    about: 'applications and filesystems on /dev/ublkbN',
    modules: ['ublk_drv', ...nodeModules],
    files: nodeFiles,
    short: nodeShort,
    limit: 2700,
    env: { BLOCKBRAID_NODE: 'ublk' },
  },
  {
    name: 'ublk-driver',
    about: 'transport-ublk against the driver of the kernel',
    modules: ['ublk_drv', 'ext4'],
    files: ublk(['ublk', 'recovery']),
    short: ublk(['ublk']),
    limit: 1500,
  },
  {
    name: 'ublk-absent',
    about: 'transport-ublk where its driver is not loaded, or is not there',
    modules: [],
    files: ublk(['absent']),
    short: ublk(['absent']),
    limit: 300,
  },
]
