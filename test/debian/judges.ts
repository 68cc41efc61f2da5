import { existsSync } from 'node:fs'
import { copyFile, mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { canRun } from '../kernel/vm/commands.ts'
import { cachedFolder, makeCached } from './cache.ts'
import { unpackPackages } from './packages.ts'

const SUITE = 'trixie'
const packages = [
  ...['nvme-cli', 'open-iscsi', 'multipath-tools', 'dmsetup', 'udev', 'ktls-utils', 'keyutils', 'iproute2'],
  // What scripts of those expect of any Debian.
  ...['base-passwd', 'dash', 'grep'],
]
// Changes whenever a cached root of an older version of this code would not do.
const FORMAT = 1

/**
 * A root folder with the programs around the kernel's initiators and targets (nvme-cli, open-iscsi, multipath-tools,
 * tlshd …), from the cache, or from the machine's Debian mirror where it is not there yet. Nothing of them is installed:
 * on the machine itself their daemons would take its disks.
 */
export async function prepareJudges(say: (what: string) => void): Promise<string> {
  const folder = cachedFolder('judges', SUITE, [FORMAT, packages])
  if (!existsSync(join(folder, 'made'))) {
    for (const command of ['apt-get', 'dpkg-deb']) {
      if (!(await canRun(command))) throw new Error(`nvme-cli and others cannot be fetched: ${command} is missing`)
    }
    say(`fetching nvme-cli, open-iscsi, multipath-tools and ktls-utils of Debian ${SUITE}, once`)
    await makeCached(folder, makeRoot)
  }
  return folder
}

async function makeRoot(scratch: string): Promise<string> {
  const root = await unpackPackages(SUITE, packages, scratch, 'with dependencies')
  // What the installation of base-files and base-passwd would add.
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    if (!existsSync(join(root, name))) await symlink(join('usr', name), join(root, name))
  }
  for (const name of ['passwd', 'group']) {
    await copyFile(join(root, 'usr/share/base-passwd', `${name}.master`), join(root, 'etc', name))
  }
  await writeFile(join(root, 'made'), '')
  const made = join(scratch, 'made')
  await mkdir(made)
  await rename(root, made)
  return made
}
