import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { cachedFolder, makeCached } from '../../debian/cache.ts'
import { unpackPackages } from '../../debian/packages.ts'
import { canRun } from './commands.ts'
import { bootModules, copyModules, cryptoModules, suiteModules } from './modules.ts'
import { vmlinuxOf } from './vmlinux.ts'

/** Kernels that can be chosen, and the Debian suite that each comes from. */
export const kernelSuites: Readonly<Record<string, string>> = {
  bookworm: 'bookworm',
  trixie: 'trixie',
  newest: 'sid',
}

/** A kernel that can be booted. */
export interface Kernel {
  /** Such as `6.12.107+deb13-amd64`. */
  readonly release: string
  /** Folder that all the others are relative to. */
  readonly folder: string
  /** Kernel, an ELF file. */
  readonly vmlinux: string
  /** A static busybox, for PID 1. */
  readonly busybox: string
  /** Modules to load before the host's files are seen, in order. */
  readonly bootModules: readonly string[]
  /** Modules that suites may load and that this kernel does not have. */
  readonly missingModules: readonly string[]
}

// Changes whenever a cached kernel of an older version of this code would not do.
const FORMAT = 2

/** A kernel from the cache, or from the machine's Debian mirror where it is not there yet. `refresh` asks for a newer one. */
export async function prepareKernel(name: string, refresh: boolean, say: (what: string) => void): Promise<Kernel> {
  const suite = kernelSuites[name]
  if (suite === undefined) {
    throw new TypeError(`kernel is ${name}; it must be one of ${Object.keys(kernelSuites).join(', ')}`)
  }
  if (process.arch !== 'x64')
    throw new Error(`this machine is ${process.arch}; its files can run in an x64 kernel only on x64`)
  const folder = cachedFolder('kernels', name, [FORMAT, bootModules, suiteModules, cryptoModules])
  if (refresh || !existsSync(join(folder, 'kernel.json'))) {
    say(`fetching a kernel of Debian ${suite}, once`)
    await fetchKernel(suite, folder)
  }
  return { ...(JSON.parse(await readFile(join(folder, 'kernel.json'), 'utf8')) as Omit<Kernel, 'folder'>), folder }
}

async function fetchKernel(suite: string, folder: string): Promise<void> {
  for (const command of ['apt-get', 'dpkg-deb', 'depmod', 'modprobe', 'xz']) {
    if (!(await canRun(command))) throw new Error(`a kernel cannot be fetched: ${command} is missing`)
  }
  await makeCached(folder, async (scratch) => {
    const root = await unpackPackages(suite, ['linux-image-amd64', 'busybox-static'], scratch)
    const files = await readdir(root, { recursive: true })
    const find = (pattern: RegExp): string => {
      const file = files.find((path) => pattern.test(path))
      if (file === undefined) throw new Error(`the kernel package of ${suite} has no file ${pattern.source}`)
      return join(root, file)
    }
    const source = dirname(find(/lib\/modules\/[^/]+\/modules\.order$/))
    const release = source.slice(source.lastIndexOf('/') + 1)
    const made = join(scratch, 'made')
    const { boot, missing } = await copyModules(source, release, made, join(scratch, 'all'))
    await writeFile(join(made, 'vmlinux'), await vmlinuxOf(await readFile(find(/(^|\/)vmlinuz[^/]*$/))))
    await writeFile(join(made, 'busybox'), await readFile(find(/bin\/busybox$/)), { mode: 0o755 })
    const kernel: Omit<Kernel, 'folder'> = {
      release,
      vmlinux: 'vmlinux',
      busybox: 'busybox',
      bootModules: boot,
      missingModules: missing,
    }
    await writeFile(join(made, 'kernel.json'), JSON.stringify(kernel))
    return made
  })
}
