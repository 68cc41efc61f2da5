import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { selectorSuite } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import bySize from '../../examples/own-policy/by-size.ts'
import shortestWait from '../../examples/own-policy/shortest-wait.ts'
import { openFolder } from './support/bed.ts'
import { blockbraid, ls, startBlockbraid } from './support/cli.ts'
import { fio, fioJob, startFio, verifiedMix } from './support/fio.ts'

const file = join(import.meta.dirname, '../../examples/own-policy/shortest-wait.ts')
const combined = join(import.meta.dirname, '../../examples/own-policy/by-size.ts')

selectorSuite({ describe, it }, { create: () => shortestWait(), has: { spreads: true } })
selectorSuite({ describe, it }, { create: () => bySize(), has: { spreads: true } })

it('a policy that combines others by size checks its options, and serves while fio verifies', async () => {
  await using folder = await openFolder()
  const control = folder.at('control.sock')
  await writeFile(
    folder.at('blockbraid.yaml'),
    `control: ${control}
targets:
  - use: memory
    volumes: [{ size: 64MiB }]
devices:
  - volume: "*"
    name: disk
    policy: { use: ${combined}, large: 32768 }
    transport: { use: nbd, socket: ${folder.at('nbd.sock')} }
`,
  )
  const agent = startBlockbraid(folder.path, 'up', 'blockbraid.yaml')
  await agent.printed((stdout) => stdout.includes('control socket'))
  const [disk] = (await ls(folder.path, control)).pairs
  expect(disk).toMatchObject({ policy: 'by-size', state: 'active' })
  const job = await fio(disk!.node, folder.path, [...verifiedMix, '--size=32M'])
  expect(job.writes).toBeGreaterThan(100)
  const wrong = ['policy', 'disk', combined, '--option', 'larg=65536', '--control', control]
  await expect(blockbraid(folder.path, ...wrong)).rejects.toThrow('larg is not a known option: did you mean large?')
  agent.kill('SIGINT')
  expect((await agent.ended).code).toBe(0)
})

it('has at most 20 lines', async () => {
  expect((await readFile(file, 'utf8')).trimEnd().split('\n').length).toBeLessThanOrEqual(20)
})

it('a policy in a file serves from the config, and is exchanged out and in while fio verifies', async () => {
  await using folder = await openFolder()
  const control = folder.at('control.sock')
  await writeFile(
    folder.at('blockbraid.yaml'),
    `control: ${control}
targets:
  - use: memory
    volumes: [{ size: 64MiB }]
    ports: 4
    latency: { base: 100, jitter: 200 }
devices:
  - volume: "*"
    name: disk
    policy: { use: ${file} }
    transport: { use: nbd, socket: ${folder.at('nbd.sock')} }
`,
  )
  const agent = startBlockbraid(folder.path, 'up', 'blockbraid.yaml')
  await agent.printed((stdout) => stdout.includes('control socket'))
  const [disk] = (await ls(folder.path, control)).pairs
  expect(disk).toMatchObject({ name: 'disk', policy: 'shortest-wait', state: 'active' })

  const args = [...verifiedMix, '--size=64M', '--time_based', '--runtime=5']
  const load = startFio(disk!.node, folder.path, args)
  let running = true
  void load.ended.finally(() => (running = false))
  const seen: string[] = []
  const path = disk!.paths[1]!.id
  while (running) {
    for (const policy of ['round-robin', file, 'queue-depth', file]) {
      await blockbraid(folder.path, 'policy', 'disk', policy, '--control', control)
      seen.push((await ls(folder.path, control)).pairs[0]!.policy)
    }
    await blockbraid(folder.path, 'path', 'fail', 'disk', path, '--control', control)
    await blockbraid(folder.path, 'path', 'restore', 'disk', path, '--control', control)
  }
  expect(fioJob(await load.ended).writes).toBeGreaterThan(500)
  expect(seen.slice(0, 4)).toEqual(['round-robin', 'shortest-wait', 'queue-depth', 'shortest-wait'])
  for (const { ios } of (await ls(folder.path, control)).pairs[0]!.paths) expect(ios).toBeGreaterThan(100)
  agent.kill('SIGINT')
  expect((await agent.ended).code).toBe(0)
})
