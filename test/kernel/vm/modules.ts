import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { output, text } from './commands.ts'
import { unxz, unzstd } from './vmlinux.ts'

/** What the guest needs before it sees the host's files. */
export const bootModules: readonly string[] = ['virtio_pci', '9p', '9pnet_virtio', 'overlay', 'virtio_console']

/** What suites load, where the kernel has it. Each is kept with everything that it depends on. */
export const suiteModules: readonly string[] = [
  'target_core_mod',
  'target_core_file',
  'target_core_iblock',
  'iscsi_target_mod',
  'loop',
  'dm_mod',
  'nbd',
  'ublk_drv',
  'ext4',
  'xfs',
  'null_blk',
  'nvmet_tcp',
  'nvme_tcp',
  'iscsi_tcp',
  'sd_mod',
  'scsi_dh_alua',
  'dm_multipath',
  'dm_round_robin',
  'dm_service_time',
  'tls',
  'sch_netem',
]

/** What those ask for by name at run time, so that no dependency shows it; kept where there is one. */
export const cryptoModules: readonly string[] = [
  'crc32c_generic',
  'crc32c_intel',
  'crct10dif_generic',
  'crct10dif_pclmul',
  'crc64_rocksoft_generic',
  'crypto-sha3-256',
  'dh_generic',
  'gcm',
  'aesni_intel',
  'ghash_clmulni_intel',
]

/** Modules of a kernel, copied. */
export interface CopiedModules {
  /** Files of {@link bootModules} and of what they depend on, in the order in which they are loaded. */
  readonly boot: readonly string[]
  /** Those of {@link suiteModules} that the kernel does not have. */
  readonly missing: readonly string[]
}

/**
 * Copies the modules that are wanted, and those they depend on, from `source` (lib/modules/RELEASE of a package)
 * to `folder`/lib/modules/`release`: unpacked and without signatures, since checking one takes the emulated
 * machine 45 ms, and Debian's kernels do not insist.
 */
export async function copyModules(
  source: string,
  release: string,
  folder: string,
  scratch: string,
): Promise<CopiedModules> {
  await mkdir(join(scratch, 'lib/modules'), { recursive: true })
  await symlink(source, join(scratch, 'lib/modules', release))
  await output('depmod', ['-b', scratch, release])
  const boot = new Set<string>()
  const copied = new Set<string>()
  const missing: string[] = []
  for (const name of [...bootModules, ...suiteModules, ...cryptoModules]) {
    const files = await dependencies(name, release, scratch)
    if (files === undefined && bootModules.includes(name)) throw new Error(`Linux ${release} has no module ${name}`)
    if (files === undefined && suiteModules.includes(name)) missing.push(name)
    for (const file of files ?? []) {
      const place = placeOf(file, release)
      if (!copied.has(place)) await copyModule(file, join(folder, place))
      copied.add(place)
      if (bootModules.includes(name)) boot.add(place)
    }
  }
  for (const name of ['modules.order', 'modules.builtin', 'modules.builtin.modinfo']) {
    await copyFile(join(source, name), join(folder, 'lib/modules', release, name))
  }
  await output('depmod', ['-b', folder, release])
  return { boot: [...boot], missing }
}

/** Files of a module and of what it depends on; none where it is built in, undefined where there is none. */
async function dependencies(name: string, release: string, root: string): Promise<string[] | undefined> {
  const args = ['-d', root, '-S', release, '--show-depends', name]
  const printed = await text('modprobe', args).catch(() => undefined)
  return printed
    ?.split('\n')
    .filter((line) => line.startsWith('insmod '))
    .map((line) => line.split(' ')[1] ?? '')
}

function placeOf(file: string, release: string): string {
  return file.slice(file.indexOf(`lib/modules/${release}/`)).replace(/\.(xz|zst)$/, '')
}

async function copyModule(file: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true })
  await writeFile(target, unsigned(await unpacked(file)))
}

async function unpacked(file: string): Promise<Buffer> {
  const data = await readFile(file)
  if (file.endsWith('.xz')) return unxz(data)
  return file.endsWith('.zst') ? unzstd(data) : data
}

const SIGNED = '~Module signature appended~\n'
// struct module_signature, whose last field is the length of the signature before it.
const SIGNATURE_TRAILER = 12

function unsigned(module: Buffer): Buffer {
  if (!module.subarray(-SIGNED.length).equals(Buffer.from(SIGNED))) return module
  const end = module.length - SIGNED.length
  return module.subarray(0, end - SIGNATURE_TRAILER - module.readUInt32BE(end - 4))
}
