// Brings a fresh clone to where its commands run: npm packages, Debian packages for the suites, build.
// Runs on any Node from 18 on, since it is what brings the right one.
//   --test   also the Debian packages that the suites use (as root, where apt is)
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)

// By a command of the package, or a file where it has none.
const debian = {
  fio: 'fio',
  qemuimg: 'qemu-utils',
  nbdinfo: 'libnbd-bin',
  nbdkit: 'nbdkit',
  'mkfs.ext4': 'e2fsprogs',
  openssl: 'openssl',
  tgtd: 'tgt',
  'iscsi-perf': 'libiscsi-bin',
  '/usr/share/doc/qemu-block-extra': 'qemu-block-extra',
  'qemu-system-x86_64': 'qemu-system-x86',
  depmod: 'kmod',
  xz: 'xz-utils',
  dmsetup: 'dmsetup',
  'mkfs.xfs': 'xfsprogs',
  sqlite3: 'sqlite3',
  lvm: 'lvm2',
  sfdisk: 'fdisk',
  'nbd-client': 'nbd-client',
}
const commands = { qemuimg: 'qemu-img' }

installPackages()
if (process.argv.includes('--test')) installDebian()
build()

function installPackages() {
  const stamp = join('node_modules', '.blockbraid-installed')
  const wanted = hash(['package.json', 'package-lock.json', ...manifests()])
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  say('npm packages')
  // `npm install`, not `npm ci`: what stands already is kept. Not saved: each npm writes the lock file in its own way.
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'])
  writeFileSync(stamp, hash(['package.json', 'package-lock.json', ...manifests()]))
}

function installDebian() {
  const missing = Object.entries(debian).filter(([name]) => !onPath(commands[name] ?? name))
  if (missing.length === 0) return
  const names = missing.map(([, name]) => name)
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    console.log(`setup: missing ${names.join(', ')}: install them for all suites (root and apt could do it here)`)
    return
  }
  say(`Debian packages: ${names.join(' ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const quiet = { stdio: ['ignore', 'ignore', 'inherit'], env }
  if (spawnSync('apt-get', ['update', '-q'], quiet).status !== 0) return
  spawnSync('apt-get', ['install', '-qy', '--no-install-recommends', ...names], quiet)
}

function build() {
  const folders = JSON.parse(readFileSync('package.json', 'utf8')).workspaces.filter((name) =>
    name.startsWith('packages/'),
  )
  const common = hash(['tsup.config.ts', 'tsconfig.base.json', 'package-lock.json'])
  const made = new Map()
  for (const folder of folders) {
    // The native part looks by itself whether it is up to date.
    if (existsSync(join(folder, 'scripts', 'install.js'))) run('node', [join('scripts', 'install.js')], folder)
    const { name, needs } = manifest(folder)
    const behind = needs.find((need) => !made.has(need))
    if (behind !== undefined) throw new Error(`${folder} needs ${behind}, which must stand before it in "workspaces"`)
    // Declarations come from those of what a package needs: a change there builds it too.
    const upstream = needs.map((need) => made.get(need)).join()
    const wanted = hash([...sources(folder), join(folder, 'package.json')], common + upstream)
    made.set(name, wanted)
    const stamp = join('node_modules', `.blockbraid-${basename(folder)}`)
    if (existsSync(join(folder, 'dist')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) continue
    say(`build ${folder}`)
    run(join(root, 'node_modules', '.bin', 'tsup'), ['--silent'], folder)
    writeFileSync(stamp, wanted)
  }
}

/** The name of a package, and the names of those of ours that its sources need. */
function manifest(folder) {
  const { name, dependencies, peerDependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const needs = Object.keys({ ...dependencies, ...peerDependencies }).filter((need) => need.startsWith('@blockbraid/'))
  return { name, needs }
}

function manifests() {
  return ['packages', 'examples'].flatMap((folder) =>
    existsSync(folder)
      ? readdirSync(folder)
          .map((name) => join(folder, name, 'package.json'))
          .filter((file) => existsSync(file))
      : [],
  )
}

function sources(folder) {
  return readdirSync(join(folder, 'src'), { recursive: true })
    .map((name) => join(folder, 'src', name))
    .concat(join(folder, 'tsup.config.ts'))
    .filter((file) => statSync(file).isFile())
    .sort()
}

function hash(files, seed = '') {
  const sum = createHash('sha256').update(seed)
  for (const file of files) sum.update(file).update(existsSync(file) ? readFileSync(file) : '')
  return sum.digest('hex')
}

function onPath(command) {
  if (command.startsWith('/')) return existsSync(command)
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some((folder) => existsSync(join(folder, command)))
}

function run(command, args, cwd = root) {
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter)
  execFileSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, PATH: path } })
}

function say(what) {
  console.log(`setup: ${what}`)
}
