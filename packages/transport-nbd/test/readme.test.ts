import { readFile } from 'node:fs/promises'
import { createHostAgent } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { expect, it } from 'vitest'
import nbd from '../src/index.ts'
import { Client } from './support/client.ts'
import { CMD, request, simple } from './support/wire.ts'

it('the example of the README is this, and works', async () => {
  // example
  await using agent = createHostAgent({ targets: [memory({ volumes: [{ size: '64MiB' }], ports: 4 })] })
  await agent.rescan()
  const device = agent.devices().find(({ kind }) => kind === 'multipath')!.id
  const transport = nbd({ socket: '/tmp/blockbraid-example.sock' })
  const pair = await agent.pair({ name: 'disk', device, transport })
  // end

  const path = '/tmp/blockbraid-example.sock'
  expect(pair.kernel.node).toBe(`nbd+unix:///disk?socket=${path}`)
  const client = await Client.enter({ path }, 'disk')
  const payload = Buffer.alloc(4096, 'through four paths')
  client.send(request(CMD.WRITE, { offset: 8192, payload }))
  expect(await client.read(16)).toEqual(simple(0))
  client.send(request(CMD.READ, { offset: 8192, length: 4096 }))
  expect(await client.read(16 + 4096)).toEqual(simple(0, 1, payload))
  client.send(request(CMD.READ, { offset: 2 ** 26, length: 4096 }), request(CMD.DISC))
  expect(await client.read(16)).toEqual(simple(22))
  await client.closed

  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const source = await readFile(new URL(import.meta.url), 'utf8')
  const example = source.slice(source.indexOf('// example\n') + 11, source.indexOf('  // end\n'))
  expect(readme).toContain(example.replaceAll(/^ {2}/gm, ''))
})
