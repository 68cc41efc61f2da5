// Packs every package as npm would, lets publint and attw judge the tarballs, installs all of them into
// an empty project, and imports each there.
import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Manifest {
  name: string
  exports: Record<string, unknown>
  bin?: Record<string, string>
}

const root = process.cwd()
const { workspaces } = JSON.parse(await readFile('package.json', 'utf8')) as { workspaces: string[] }
const folders = workspaces.filter((folder) => folder.startsWith('packages/'))
const scratch = await mkdtemp(join(tmpdir(), 'blockbraid-pack-'))
try {
  const tarballs: string[] = []
  const manifests: Manifest[] = []
  for (const folder of folders) {
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest
    const [packed] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--silent', '--pack-destination', scratch], {
        cwd: folder,
        encoding: 'utf8',
      }),
    ) as { filename: string; unpackedSize: number; entryCount: number }[]
    if (packed === undefined) throw new Error(`npm packed nothing in ${folder}`)
    const tarball = join(scratch, packed.filename)
    console.log(`${manifest.name}: ${packed.entryCount} files, ${(packed.unpackedSize / 1024).toFixed(0)} kB`)
    execFileSync('publint', ['--strict', '--pack=false', tarball], { stdio: 'inherit' })
    execFileSync(
      'attw',
      ['--profile', 'esm-only', '--no-definitely-typed', '--no-emoji', '--format', 'ascii', tarball],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    tarballs.push(tarball)
    manifests.push(manifest)
  }
  const project = join(scratch, 'stranger')
  execFileSync('mkdir', [project])
  await writeFile(join(project, 'package.json'), '{ "private": true, "type": "module" }\n')
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...tarballs], {
    cwd: project,
    stdio: 'inherit',
  })
  for (const { name } of manifests) {
    const script = `const names = Object.keys(await import('${name}')); if (names.length === 0) throw new Error('exports nothing')`
    execFileSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: project, stdio: 'inherit' })
  }
  for (const { bin = {} } of manifests) {
    for (const command of Object.keys(bin)) {
      execFileSync(join(project, 'node_modules', '.bin', command), ['--help'], {
        cwd: project,
        stdio: ['ignore', 'ignore', 'inherit'],
      })
    }
  }
  console.log(`${manifests.length} packages packed, judged, installed and imported (from ${root})`)
} finally {
  await rm(scratch, { recursive: true })
}
