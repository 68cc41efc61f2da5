// What npm install does on a user's machine, in a copy of the package as it is published.
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { compile, findCompiler } from '../scripts/compile.js'

const root = join(import.meta.dirname, '..')
const copy = mkdtempSync(join(tmpdir(), 'blockbraid-install-'))
const built = join(copy, 'build/linux.node')
const noCompiler = findCompiler() === undefined

beforeEach(() => {
  rmSync(copy, { recursive: true })
  mkdirSync(copy)
  for (const name of ['src', 'scripts', 'package.json']) cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, '../../node_modules'), join(copy, 'node_modules'))
})

afterAll(() => rmSync(copy, { recursive: true }))

function install(env: NodeJS.ProcessEnv = {}, ...flags: string[]): { status: number | null; stderr: string } {
  const script = join(copy, 'scripts/install.js')
  return spawnSync(process.execPath, [...flags, script], { encoding: 'utf8', env: { ...process.env, ...env } })
}

/** Imports the package, then uses it; gives the error of the use. */
function use(...flags: string[]): { code?: string; message?: string; length?: number } {
  const program = `
    const linux = await import(${JSON.stringify(join(copy, 'src/index.ts'))})
    try { console.log(JSON.stringify({ length: linux.mapMemory(4096).length })) }
    catch (error) { console.log(JSON.stringify({ code: error.code, message: error.message, is: linux.LinuxError.is(error) })) }`
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, '--input-type=module', '-e', program], {
    encoding: 'utf8',
  })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as { code?: string }
}

it('imports without its native part, and says at the first use what to do', () => {
  expect(use()).toEqual({
    is: true,
    code: 'ERR_NO_ADDON',
    message:
      'load: ERR_NO_ADDON, the native part of @blockbraid/linux is missing: it was not compiled (install scripts ' +
      `switched off?). To build it: node ${copy}/scripts/install.js`,
  })
})

it('installs without a compiler, and says so', () => {
  const { status, stderr } = install({ CC: '', PATH: dirname(process.execPath) })
  const sentence = 'there is no prebuilt file for this machine, and no C compiler (install gcc or clang, or set CC)'
  expect(status).toBe(0)
  expect(stderr).toBe(`@blockbraid/linux: ${sentence}. Parts that need the native part will say so.\n`)
  expect(use()).toMatchObject({ code: 'ERR_NO_ADDON', message: expect.stringContaining(sentence) })
})

it('installs on other systems, and says so', () => {
  const darwin = '--import=data:text/javascript,Object.defineProperty(process,"platform",{value:"darwin"})'
  const { status, stderr } = install({}, darwin)
  expect(status).toBe(0)
  expect(stderr).toContain('this is darwin, not Linux')
  expect(use(darwin)).toMatchObject({ code: 'ERR_NO_ADDON', message: expect.stringContaining('this is darwin') })
})

it.skipIf(noCompiler)('compiles, once, and again when the sources have changed', { timeout: 60_000 }, () => {
  expect(install()).toMatchObject({ status: 0, stderr: '' })
  expect(use()).toEqual({ length: 4096 })
  const first = statSync(built).ino
  install()
  expect(statSync(built).ino).toBe(first)
  appendFileSync(join(copy, 'src/native/process.c'), '\n')
  install()
  expect(statSync(built).ino).not.toBe(first)
  writeFileSync(built, 'not a library')
  expect(use()).toMatchObject({ code: 'ERR_NO_ADDON', message: expect.stringContaining(built) })
  install()
  expect(use()).toEqual({ length: 4096 })
})

it.skipIf(noCompiler)('installs when the compiler fails, and says how; in the repository that is a failure', () => {
  appendFileSync(join(copy, 'src/native/process.c'), 'mistake\n')
  const { status, stderr } = install()
  expect(status).toBe(0)
  expect(stderr).toMatch(/^@blockbraid\/linux: compiling with .* failed: .*process\.c/)
  expect(readFileSync(join(copy, 'build/problem.txt'), 'utf8')).toContain('compiling with')
  expect(use()).toMatchObject({ code: 'ERR_NO_ADDON', message: expect.stringContaining('process.c') })
  writeFileSync(join(copy, 'tsup.config.ts'), '')
  expect(install().status).toBe(1)
})

it.skipIf(noCompiler)('uses a prebuilt file, install script or not', () => {
  const prebuilt = join(copy, `prebuilds/linux-${process.arch}`)
  mkdirSync(prebuilt, { recursive: true })
  expect(compile(findCompiler()!, join(prebuilt, 'linux.node'), ['-nostdlib'])).toBeUndefined()
  expect(use()).toEqual({ length: 4096 })
  expect(install({ CC: '', PATH: dirname(process.execPath) })).toMatchObject({ status: 0, stderr: '' })
  expect(existsSync(built)).toBe(false)
})
