// The addon compiled with AddressSanitizer and UndefinedBehaviorSanitizer, in an ordinary node.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { compile } from '../scripts/compile.js'

const root = join(import.meta.dirname, '..')
const copy = mkdtempSync(join(tmpdir(), 'blockbraid-asan-'))
const runtime = prepare()

afterAll(() => rmSync(copy, { recursive: true }))

/** The path of the sanitizer's library, with the package and a compiled addon in `copy`; or what is missing. */
function prepare(): { library: string } | { missing: string } {
  const found = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' })
  const library = found.stdout?.trim() ?? ''
  if (!existsSync(library)) return { missing: 'not run here, there is no gcc with libasan' }
  for (const name of ['src', 'test', 'package.json']) cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, '../../node_modules'), join(copy, 'node_modules'))
  mkdirSync(join(copy, 'build'))
  const flags = ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined', '-fno-omit-frame-pointer', '-g']
  const failure = compile('gcc', join(copy, 'build/linux.node'), flags)
  if (failure !== undefined) throw new Error(failure)
  return { library }
}

/** What the sanitizers say of the addon when they run a program. Of leaks, those of Node itself do not count. */
function findings(library: string, program: string, ...args: string[]): string[] {
  const script = join(copy, 'test/programs', program)
  const { status, stderr } = spawnSync(process.execPath, ['--expose-gc', script, ...args], {
    encoding: 'utf8',
    timeout: 100_000,
    env: {
      ...process.env,
      LD_PRELOAD: library,
      ASAN_OPTIONS: 'detect_leaks=1:detect_stack_use_after_return=1',
      UBSAN_OPTIONS: 'print_stacktrace=1',
    },
  })
  const leaks = stderr.split('\n\n').filter((block) => / leak of /.test(block))
  const ours = leaks.filter((block) => block.includes('/src/native/'))
  const other = stderr.includes('LeakSanitizer') && !/ERROR: AddressSanitizer|runtime error/.test(stderr)
  return status === 0 || other ? ours : [`exit ${status}: ${stderr.slice(0, 5000)}`]
}

const missing = 'missing' in runtime ? `: ${runtime.missing}` : ''

describe.skipIf('missing' in runtime)(`AddressSanitizer${missing}`, () => {
  const { library } = runtime as { library: string }

  it('finds nothing in ordinary use', { timeout: 120_000 }, () => {
    expect(findings(library, 'workout.ts')).toEqual([])
  })

  it('finds nothing with wrong arguments', { timeout: 120_000 }, () => {
    const seed = String(Math.floor(Math.random() * 2 ** 31))
    expect(findings(library, 'fuzz.ts', seed, '5000'), `seed ${seed}`).toEqual([])
  })
})
