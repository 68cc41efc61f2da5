// Makes sure of the native part: a prebuilt one that loads, or one compiled here. Without either the package still
// installs; its first use then says what this script says.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { compile, findCompiler, headers, root, sources } from './compile.js'

const require = createRequire(import.meta.url)
const built = `${root}build/linux.node`
const stamp = `${root}build/stamp`
const problem = `${root}build/problem.txt`
// Only the repository has it, the published package does not.
const inRepository = existsSync(`${root}tsup.config.ts`)

const reason = install()
if (reason === undefined) {
  rmSync(problem, { force: true })
} else {
  mkdirSync(`${root}build`, { recursive: true })
  writeFileSync(problem, `${reason}\n`)
  process.stderr.write(`@blockbraid/linux: ${reason}. Parts that need the native part will say so.\n`)
}

/** What is wrong, or undefined. */
function install() {
  if (process.platform !== 'linux') return `this is ${process.platform}, not Linux`
  if (!inRepository && loads(`${root}prebuilds/linux-${process.arch}/linux.node`)) return undefined
  const compiler = findCompiler()
  if (compiler === undefined) {
    return 'there is no prebuilt file for this machine, and no C compiler (install gcc or clang, or set CC)'
  }
  const wanted = hash(compiler)
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && loads(built)) return undefined
  mkdirSync(`${root}build`, { recursive: true })
  const failure = compile(compiler, built, inRepository ? ['-Wall', '-Wextra', '-Werror'] : [])
  if (failure !== undefined) {
    if (!inRepository) return `compiling with ${compiler} failed: ${failure}`
    process.stderr.write(`${failure}\n`)
    process.exit(1)
  }
  if (!loads(built)) return `${built} was compiled and does not load`
  writeFileSync(stamp, wanted)
  return undefined
}

function loads(file) {
  if (!existsSync(file)) return false
  try {
    require(file)
    return true
  } catch {
    return false
  }
}

function hash(compiler) {
  const sum = createHash('sha256').update(compiler).update(process.arch)
  for (const file of [...sources(), ...headers(), `${root}scripts/compile.js`]) sum.update(readFileSync(file))
  return sum.digest('hex')
}
