import type { Path } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { PathSuiteOptions } from '../src/index.ts'
import { createMinimalArray, pathMutants, pathSuite, runMutants, virtualHost } from '../src/index.ts'
import type { MinimalArray } from '../src/minimal/array.ts'

const host = virtualHost(1)
const arrays = new WeakMap<Path, MinimalArray>()

async function open(): Promise<Path> {
  const array = createMinimalArray(host)
  const [info] = await array.target.discover()
  return adopt(array, await array.target.connect(info!))
}

function adopt(array: MinimalArray, path: Path): Path {
  arrays.set(path, array)
  return path
}

const of = (path: Path): MinimalArray => arrays.get(path)!

const minimal: PathSuiteOptions = {
  open,
  has: {
    trim: true,
    writeZeroes: true,
    fua: true,
    writeCache: true,
    extents: true,
    activate: true,
    access: true,
    grow: true,
    mediumErrors: true,
    preferred: true,
    ping: true,
    dark: true,
  },
  faults: {
    kill: (path) => of(path).kill(path),
    hang: (path) => of(path).hang(path),
    dark: (path) => of(path).hang(path),
    release: (path) => of(path).release(path),
    second: async (path) => adopt(of(path), await of(path).second(path)),
    setAccess: (path, access) => of(path).setAccess(path, access),
    setPreferred: (path, on) => of(path).prefer(path, on),
    grow: (path, size) => of(path).grow(path, size),
    breakMedium: (path, offset, length) => of(path).breakMedium(path, offset, length),
  },
  clock: host.clock,
}

describe('the minimal path', () => pathSuite({ describe, it }, minimal))

describe('mutants of the path suite', async () => {
  const reports = await runMutants(pathSuite, minimal, pathMutants)
  it.each(reports)('catches a path that $name', ({ outcome, failures }) => {
    expect(outcome, failures.join('\n')).toBe('caught')
  })
})
