import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'vitest'
import type { Tgt } from './tgt.ts'
import { itWithTgt, openTgt } from './tgt.ts'
import { succeed } from './tools.ts'

// Needs a C compiler.
const compiler = ['/usr/bin/cc', '/usr/bin/gcc', '/usr/bin/clang'].find((path) => existsSync(path))
if (compiler === undefined) console.warn('no C compiler: no target is made to execute a write late')

/** `it`, where tgt can be made to execute a write late. */
export const itWithSlowTgt: ReturnType<typeof it.skipIf> = compiler === undefined ? it.skip : itWithTgt

/** A tgtd whose first write of bytes that begin with `S` waits until the file `mark('go')` is there. */
export interface SlowTgt extends AsyncDisposable {
  readonly tgt: Tgt
  /** Files that tell where that write is: `begun`, `go`, `done`. */
  mark(end: 'begun' | 'go' | 'done'): string
}

/** Starts it; what it needs is put into `folder`. */
export async function openSlowTgt(folder: string): Promise<SlowTgt> {
  const object = join(folder, 'slow-writes.so')
  const source = join(import.meta.dirname, 'slow-writes.c')
  await succeed(compiler!, ['-shared', '-fPIC', '-O', '-o', object, source, '-ldl'])
  const mark = join(folder, 'mark')
  const tgt = await openTgt({ preload: { object, env: { SLOW_WRITES: mark } } })
  return { tgt, mark: (end) => `${mark}.${end}`, [Symbol.asyncDispose]: () => tgt[Symbol.asyncDispose]() }
}
