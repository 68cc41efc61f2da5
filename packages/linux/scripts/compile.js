// The compiler's command line, for install.js, prebuild.js and the tests.
import { spawnSync } from 'node:child_process'
import { readdirSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)

/** The package's folder, with a slash. */
export const root = fileURLToPath(new URL('..', import.meta.url))

/** @returns {string | undefined} the first C compiler that runs */
export function findCompiler() {
  const candidates = process.env.CC ? [process.env.CC] : ['cc', 'gcc', 'clang']
  return candidates.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0)
}

/** The C files. */
export function sources() {
  return native('.c')
}

/** Their header. */
export function headers() {
  return native('.h')
}

/**
 * Compiles the addon.
 * @param {string} compiler command
 * @param {string} output file
 * @param {string[]} flags more flags
 * @returns {string | undefined} what the compiler said when it failed
 */
export function compile(compiler, output, flags = []) {
  const include = `${dirname(require.resolve('node-api-headers/package.json'))}/include`
  // Renamed when it is whole: a process that has the old one loaded keeps it.
  const part = `${output}.${process.pid}`
  const common = ['-shared', '-fPIC', '-O2', '-std=gnu11', '-fvisibility=hidden', '-I', include]
  const { status, stderr, error } = spawnSync(compiler, [...common, ...flags, ...sources(), '-o', part], {
    encoding: 'utf8',
  })
  if (status !== 0) return error?.message ?? stderr.trim()
  renameSync(part, output)
  return undefined
}

function native(extension) {
  const folder = `${root}src/native/`
  return readdirSync(folder)
    .filter((name) => name.endsWith(extension))
    .sort()
    .map((name) => folder + name)
}
