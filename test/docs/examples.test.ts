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

describe('run agent', () => {
  it('asks the agent of a config over its control socket, and gets typed answers', async () => {
    const { stdout } = await run(process.execPath, [join(examples, 'run-agent/run-agent.ts')], { timeout: 30_000 })
    expect(stdout).toMatch(/^disk-0 is nbd\+unix:\/\/\/disk-0\?socket=/)
    expect(stdout).toMatch(/^disk-0 is degraded: memory:array0\/port0\/lun0 disabled, memory:array0\/port1\/lun0 up$/m)
    expect(stdout).toMatch(/^disk-0 is down$/m)
  })
})

describe('own policy', () => {
  selectorSuite({ describe, it }, { create: () => shortestWait(), has: { spreads: true } })

  it('has a valid config', async () => {
    await loadConfig(join(examples, 'own-policy/blockbraid.yaml'))
  })
})
