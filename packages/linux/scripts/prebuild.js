// Fills prebuilds/ before the package is packed, as far as compilers are here, and says what is missing. One file per
// architecture serves glibc and musl: it names no library and no version of a symbol, and finds all in the node
// process. Never fails: users without a prebuilt file compile.
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { compile, findCompiler, root } from './compile.js'

const architectures = {
  x64: { gcc: 'x86_64-linux-gnu-gcc', debian: 'gcc-x86-64-linux-gnu' },
  arm64: { gcc: 'aarch64-linux-gnu-gcc', debian: 'gcc-aarch64-linux-gnu' },
}
const flags = ['-Wall', '-Wextra', '-Werror', '-nostdlib', '-fno-stack-protector', '-U_FORTIFY_SOURCE', '-s']

rmSync(`${root}prebuilds`, { recursive: true, force: true })
for (const [architecture, { gcc, debian }] of Object.entries(architectures)) {
  const failure = build(architecture, gcc)
  const file = `prebuilds/linux-${architecture}/linux.node`
  const hint = failure?.startsWith('no ') ? `: install ${debian}` : ''
  // `npm pack --json` owns standard output.
  process.stderr.write(failure === undefined ? `built ${file}\n` : `no ${file}: ${failure}${hint}\n`)
}

/** @returns {string | undefined} why there is no file */
function build(architecture, gcc) {
  const native = process.platform === 'linux' && process.arch === architecture ? findCompiler() : undefined
  const compiler = native ?? (runs(gcc) ? gcc : undefined)
  if (compiler === undefined) return `no ${gcc}`
  const folder = `${root}prebuilds/linux-${architecture}`
  mkdirSync(folder, { recursive: true })
  const failure = compile(compiler, `${folder}/linux.node`, flags) ?? bound(`${folder}/linux.node`)
  if (failure !== undefined) rmSync(folder, { recursive: true })
  return failure
}

/** Why the file is bound to one libc, if it is. */
function bound(file) {
  const { status, stdout } = spawnSync('readelf', ['-dV', file], { encoding: 'utf8' })
  if (status !== 0) return 'no readelf to look at it (binutils)'
  return /NEEDED|GLIBC/.test(stdout) ? 'it is bound to one libc' : undefined
}

function runs(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0
}
