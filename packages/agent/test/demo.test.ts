import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { describe, expect, it } from 'vitest'
import { runDemo } from '../src/demo/demo.ts'
import { findFio } from '../src/demo/fio.ts'

const folders = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('blockbraid-demo-'))

describe('demo', () => {
  it.each([true, false])('verifies every byte (with our own client: %j)', async (own) => {
    const before = await folders()
    const told: string[] = []
    const result = await runDemo(
      {
        exported: (exports) => told.push(...exports.map(({ name }) => name)),
        loading: (program) => told.push(program),
        happened: (_seconds, text) => told.push(text),
      },
      new AbortController().signal,
      { size: 8 * 2 ** 20, own },
    )
    expect(result.checks.filter(({ ok }) => !ok)).toEqual([])
    expect(result.ok).toBe(true)
    const client = 'our own NBD client'
    expect(result.load).toBe(own ? client : ((await findFio(tmpdir()))?.program ?? client))
    expect(result.checks[0]?.text).toBe(`${result.load}: 4096 writes, 4096 reads checked, no error`)
    expect(told.slice(0, 3)).toEqual(['vol-0', 'vol-1', result.load])
    expect(result.paths).toHaveLength(8)
    for (const { path, state, story, ios } of result.paths) {
      expect(ios).toBeGreaterThan(0)
      expect([path, state === 'up']).toEqual([path, path !== 'port 1'])
      if (path === 'port 1') expect(story).toMatch(/^lost at \d+\.\d s$/)
      if (path === 'port 2') expect(story).toMatch(/^lost at .*, back at \d+\.\d s$/)
    }
    expect(await folders()).toEqual(before)
  })

  it('ends early when it is interrupted, and cleans up', async () => {
    const before = await folders()
    const interrupt = new AbortController()
    const audience = { exported() {}, loading() {}, happened: () => interrupt.abort() }
    await expect(runDemo(audience, interrupt.signal, { size: 8 * 2 ** 20 })).rejects.toThrow()
    expect(await folders()).toEqual(before)
  })
})
