import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { policies } from '../../bench/policies.ts'
import { pictureOf } from '../../scripts/pictures/pictures.ts'

const packages = join(import.meta.dirname, '../../packages')

describe('pictures of policies', () => {
  it('are of every policy', async () => {
    const names = (await readdir(packages)).filter((name) => name.startsWith('policy-'))
    expect(names.map((name) => name.slice('policy-'.length)).toSorted()).toEqual(Object.keys(policies).toSorted())
  })

  it.each(Object.keys(policies))(
    '%s: the one in its README is what npm run pictures makes, its numbers too',
    async (name) => {
      const { file, svg, readmeFile, readme } = await pictureOf(name)
      expect(await readFile(file, 'utf8'), 'run npm run pictures').toBe(svg)
      expect(await readFile(readmeFile, 'utf8'), 'run npm run pictures').toBe(readme)
      expect(readme).toContain('](pictures/scenes.svg)')
      expect(readme).toMatch(/^\| p99 (\| \d+\.\d ms ){4}\|$/m)
    },
  )

  it('latency and service-time beat round-robin in p99 where a path is slower', async () => {
    const p99 = async (name: string): Promise<number> => (await pictureOf(name)).latencies[1]!.p99
    const turns = await p99('round-robin')
    expect(await p99('latency')).toBeLessThan(turns / 2)
    expect(await p99('service-time')).toBeLessThan(turns / 2)
  })
})
