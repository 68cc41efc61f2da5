import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { selectorSuite } from '@blockbraid/testkit'
import { loadConfig } from 'blockbraid'
import { describe, expect, it } from 'vitest'
import shortestWait from '../../examples/own-policy/shortest-wait.ts'

const run = promisify(execFile)
const examples = join(import.meta.dirname, '../../examples')

describe('embed', () => {
  it('runs to its end and reads back what it wrote', async () => {
    const { stdout } = await run(process.execPath, [join(examples, 'embed/embed.ts')], { timeout: 30_000 })
    expect(stdout).toMatch(/^4 paths, one device: nbd:\/\/127\.0\.0\.1:\d+\/disk$/m)
    expect(stdout).toMatch(/is disabled taken out by hand$/m)
    expect(stdout).toMatch(/^read back over the other paths: hello$/m)
  })
})

describe('own policy', () => {
  selectorSuite({ describe, it }, { create: () => shortestWait(), has: { spreads: true } })

  it('has a valid config', async () => {
    await loadConfig(join(examples, 'own-policy/blockbraid.yaml'))
  })
})
