import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { output, text } from '../kernel/vm/commands.ts'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
// Only where the machine has no Debian sources of its own.
const PUBLIC_MIRROR = 'http://deb.debian.org/debian'

/**
 * Downloads packages of a Debian suite and unpacks them into one folder, which it returns: those that are named, or all
 * that they depend on too, down to libc. Through apt, so that its proxies, mirrors and signatures hold, but with lists of
 * its own: the machine's package state stays as it is.
 */
export async function unpackPackages(
  suite: string,
  names: readonly string[],
  scratch: string,
  which: 'alone' | 'with dependencies' = 'alone',
): Promise<string> {
  const options = await privateApt(suite, join(scratch, 'apt'))
  await output('apt-get', [...options, '-o', 'APT::Update::Error-Mode=any', 'update'])
  const debs = join(scratch, 'debs')
  await mkdir(join(debs, 'partial'), { recursive: true })
  if (which === 'alone') {
    await output('apt-get', [...options, 'download', ...(await withParts(names, options))], { cwd: debs })
  } else {
    // Nothing is locked, since nothing of the machine's is touched: no root either.
    const into = ['-o', `Dir::Cache::archives=${debs}`, '-o', 'Debug::NoLocking=1']
    await output('apt-get', [
      ...options,
      ...into,
      'install',
      '-y',
      '--download-only',
      '--no-install-recommends',
      ...names,
    ])
  }
  const root = join(scratch, 'root')
  for (const deb of await readdir(debs)) {
    if (deb.endsWith('.deb')) await output('dpkg-deb', ['-x', join(debs, deb), root])
  }
  return root
}

async function privateApt(suite: string, folder: string): Promise<string[]> {
  for (const name of ['lists/partial', 'cache/partial']) await mkdir(join(folder, name), { recursive: true })
  const sources = join(folder, 'sources.list')
  await writeFile(sources, `deb [arch=amd64 signed-by=${KEYRING}] ${await mirror()} ${suite} main\n`)
  const settings = {
    'APT::Architecture': 'amd64',
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Etc::SourceList': sources,
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::State::status': '/dev/null',
  }
  return ['-qq', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])]
}

/** The Debian mirror that this machine's apt uses. */
async function mirror(): Promise<string> {
  const format = '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)'
  const targets = await text('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'])
  const own = targets.split('\n').find((line) => line.startsWith('Debian|Debian|main|'))
  return own?.split('|')[3] ?? PUBLIC_MIRROR
}

/** Newer kernels come in several packages: the image depends on its binary, its modules, its base. */
async function withParts(names: readonly string[], options: readonly string[]): Promise<string[]> {
  const seen: string[] = []
  const waiting = [...names]
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    if (seen.includes(name)) continue
    seen.push(name)
    const printed = await text('apt-cache', [...options, 'depends', '--important', name])
    for (const [, part = ''] of printed.matchAll(/Depends: (linux-(?:image|binary|modules|base)-\d\S*)/g))
      waiting.push(part)
  }
  return seen
}
