import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import type { Server } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlockDevicePair, KernelNode, Transport } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import { createMemoryArray } from '@blockbraid/target-memory'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Config } from '../src/config/config.ts'
import { callControl } from '../src/control/client.ts'
import { runAgent } from '../src/index.ts'
import { createNodeCare } from '../src/nodes/care.ts'
import { leftNodes } from '../src/nodes/left-nodes.ts'
import { protectProcess } from '../src/nodes/protect.ts'
import { swapsOnNode } from '../src/nodes/swap.ts'
import type { Listing } from '../src/snapshot/listing.ts'
import type { Running } from './fixtures/command.ts'
import { start } from './fixtures/command.ts'
import { useNode } from './fixtures/node-transport.ts'
import type { InProcess } from './fixtures/terminal.ts'
import { begin, fakeNodes, run } from './fixtures/terminal.ts'

// This process shall not be the one that is protected, and no test can swap.
vi.mock('../src/nodes/protect.ts', () => ({ protectProcess: vi.fn(async () => {}) }))
vi.mock('../src/nodes/swap.ts', () => ({ swapsOnNode: vi.fn(async () => []) }))

const LONG = { timeout: 20_000 }
let folder: string
let nodes: string
let control: string
let agents: InProcess[]
let commands: Running[]
let server: Server | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-nodes-'))
  nodes = join(folder, 'nodes')
  control = join(folder, 'control.sock')
  agents = []
  commands = []
})
afterEach(async () => {
  for (const agent of agents) {
    agent.interrupt()
    await agent.ended
  }
  for (const { child, ended } of commands) {
    child.kill('SIGKILL')
    await ended
  }
  server?.close()
  server = undefined
  vi.mocked(protectProcess).mockClear()
  vi.mocked(swapsOnNode).mockReset().mockResolvedValue([])
  await rm(folder, { recursive: true })
})

const fake = (more = ''): string => `{ use: ${fakeNodes('').use}, folder: ${nodes}${more} }`
const config = (transport: string, more = ''): string => `control: ${control}
targets:
  - use: memory
    volumes: [{ size: 1MiB }, { size: 2MiB }]
    ports: 1
devices:
  - volume: "*"
    name: vol-{n}
    transport: ${transport}
${more}`

async function write(text = config(fake())): Promise<void> {
  await writeFile(join(folder, 'bb.yaml'), text)
}

/** An agent in this process that is up. */
async function up(...args: string[]): Promise<InProcess> {
  const agent = begin(folder, ['up', 'bb.yaml', '--json', ...args])
  agents.push(agent)
  await Promise.race([agent.ended, expect.poll(() => agent.output.out, LONG).toContain('}\n')])
  return agent
}

/** An agent in a process of its own that is up. */
async function spawnUp(...args: string[]): Promise<Running> {
  const running = start(['up', 'bb.yaml', ...args], folder)
  commands.push(running)
  await expect.poll(() => running.output.out, LONG).toContain('Ctrl-C ends it')
  return running
}

async function end(agent: InProcess) {
  agent.interrupt()
  return agent.ended
}

const remote = (...args: string[]) => run(folder, ...args, '--control', control)
const listed = async () => JSON.parse((await run(folder, 'nodes', '--json')).out).nodes
const pairsOf = (agent: InProcess) => JSON.parse(agent.output.out).pairs
const kept = async () => (await readdir(nodes)).filter((name) => name.endsWith('.json'))

describe('kernel nodes of an agent', () => {
  it('are removed with it while nobody uses them, and protect it', async () => {
    await write()
    const agent = await up()
    expect(pairsOf(agent)).toEqual([
      { name: 'vol-0', node: '/dev/fake0', tookOver: false },
      { name: 'vol-1', node: '/dev/fake1', tookOver: false },
    ])
    expect((await remote('ls')).out).toContain('\n  /dev/fake0, kernel node\n')
    expect(await listed()).toMatchObject([{ node: '/dev/fake0', name: 'vol-0', served: true }, { served: true }])
    expect(await end(agent)).toMatchObject({ code: 0, err: '' })
    expect(await kept()).toEqual([])
    expect(protectProcess).toHaveBeenCalledTimes(1)
  })

  it('are no reason to protect anything where there are none', async () => {
    await write(config(fake(', kernel: auto')))
    const agent = await up()
    expect(pairsOf(agent)[0].node).toBe('fake:vol-0')
    expect(agent.output.err).toContain('blockbraid: vol-0: an export, not a kernel node: CAP_SYS_ADMIN is needed\n')
    expect(protectProcess).not.toHaveBeenCalled()
  })

  it('are left while they are used, which is told, and taken over by the next', async () => {
    await write(config(fake(', takeOverTimeout: 90000')))
    const first = await up()
    await useNode(nodes, 'vol-1', 'mounted at /mnt')
    expect(await end(first)).toMatchObject({
      code: 0,
      err:
        'blockbraid: vol-1: /dev/fake1 stays: /dev/fake1 is in use: mounted at /mnt; its I/O waits up to 90 s for an ' +
        'agent: run "blockbraid up" again, or end it with "blockbraid down --force vol-1"\n',
    })
    expect(await kept()).toEqual(['fake1.json'])
    expect((await run(folder, 'nodes')).out).toMatch(
      /^node +name +state +volume\n\/dev\/fake1 +vol-1 +orphaned +naa\.\w+\n {2}used by {2}mounted at \/mnt\n$/,
    )

    const second = await up()
    expect(pairsOf(second)).toEqual([
      { name: 'vol-0', node: '/dev/fake0', tookOver: false },
      { name: 'vol-1', node: '/dev/fake1', tookOver: true },
    ])
    expect(second.output.err).toBe('blockbraid: vol-1: took over /dev/fake1; I/O that had waited goes on\n')
    expect((await remote('ls')).out).toContain('\n  /dev/fake1, kernel node, taken over\n')
    const { pairs } = JSON.parse((await remote('ls', '--json')).out) as Listing
    expect(pairs.map(({ tookOver }) => tookOver)).toEqual([false, true])
  })

  it('are not cut off in the middle of their removal', async () => {
    await write(config(fake(', slow: 2500')))
    const agent = await up()
    expect(await end(agent)).toMatchObject({ code: 0, err: '' })
    expect(await kept()).toEqual([])
  })

  it('of a killed process are taken over', async () => {
    await write()
    const { child, ended } = await spawnUp()
    child.kill('SIGKILL')
    await ended
    expect(await listed()).toMatchObject([{ served: false }, { served: false }])
    const agent = await up()
    expect(pairsOf(agent).map(({ tookOver }: { tookOver: boolean }) => tookOver)).toEqual([true, true])
  })

  it('are taken over though no file keeps their names, which are kept from then on', async () => {
    await write()
    const first = await up()
    await useNode(nodes, 'vol-1', 'mounted at /mnt')
    await end(first)
    const env = { BLOCKBRAID_STATE: join(folder, 'state') }
    const second = begin(folder, ['up', 'bb.yaml', '--json'], env)
    agents.push(second)
    await expect.poll(() => second.output.out, LONG).toContain('}\n')
    expect(pairsOf(second)).toMatchObject([{ name: 'vol-0' }, { name: 'vol-1', tookOver: true }])
    await end(second)
    expect((await begin(folder, ['names'], env).ended).out).toMatch(/\nvol-1 /)
  })

  it('are taken over though names cannot be kept; other volumes wait until they can', async () => {
    await write()
    const first = await up()
    await useNode(nodes, 'vol-1', 'mounted at /mnt')
    await end(first)
    await writeFile(join(folder, 'state'), '')
    const agent = begin(folder, ['up', 'bb.yaml', '--json'], { BLOCKBRAID_STATE: join(folder, 'state') })
    agents.push(agent)
    await expect.poll(() => agent.output.out, LONG).toContain('}\n')
    expect(pairsOf(agent)).toEqual([{ name: 'vol-1', node: '/dev/fake1', tookOver: true }])
    const lines = agent.output.err.trim().split('\n')
    expect(lines).toHaveLength(2)
    expect(agent.output.err).toMatch(
      /^blockbraid: \S+:7:5: pair vol-0: cannot keep the names of volumes in \S+\/state: /m,
    )
  })

  it('that were taken over are not given up where another pair fails', async () => {
    await write()
    const first = await up()
    await useNode(nodes, 'vol-0', 'mounted at /mnt')
    await end(first)
    await write(
      config(
        fake(),
        `    shared: true\n  - { volume: "memory:array0/port0/lun1", name: bad, shared: true, transport: { use: nbd, socket: ${folder} } }\n`,
      ),
    )
    const second = await up()
    expect(pairsOf(second)).toMatchObject([{ name: 'vol-0', tookOver: true }, { name: 'vol-1' }])
    expect(second.output.err).toMatch(/^blockbraid: \S+bb\.yaml:11:5: pair bad: ./m)
  })
})

describe('down', () => {
  it('refuses while a node is in use and says by whom; --force does not', async () => {
    await write()
    await up()
    await useNode(nodes, 'vol-0', 'mounted at /mnt')
    expect(await remote('down', 'vol-0')).toEqual({
      code: 1,
      out: '',
      err:
        'blockbraid: vol-0 stays up: /dev/fake0 is in use: mounted at /mnt; "blockbraid down --force vol-0" removes it ' +
        'all the same: whoever uses it gets EIO\n',
    })
    expect(await kept()).toEqual(['fake0.json', 'fake1.json'])
    expect((await remote('ls')).out).toContain('vol-0')
    expect(await remote('down', '--force', '/dev/fake0')).toMatchObject({ code: 0, out: 'vol-0 is down\n' })
    expect(await remote('down', 'vol-1')).toMatchObject({ code: 0, out: 'vol-1 is down\n' })
    expect(await kept()).toEqual([])
  })

  it('knows no other way', async () => {
    await write()
    await up()
    await expect(callControl(control, { op: 'down', pair: 'vol-0', mode: 'leave' })).rejects.toThrow(
      'mode is "leave"; it must be clean or force',
    )
  })

  it('refuses a pair without a path too while its node is in use', async () => {
    await write()
    await up()
    await useNode(nodes, 'vol-0', 'mounted at /mnt')
    await remote('path', 'fail', 'vol-0', 'memory:array0/port0/lun0')
    expect(await remote('down', 'vol-0')).toMatchObject({ code: 1, err: expect.stringContaining('mounted at /mnt') })
    expect((await remote('ls')).out).toContain('STALLED')
    expect(await remote('down', '--force', 'vol-0')).toMatchObject({
      code: 0,
      out: expect.stringContaining('vol-0 is down'),
    })
  })

  async function leave(): Promise<void> {
    await write()
    const agent = await up()
    for (const name of ['vol-0', 'vol-1']) await useNode(nodes, name, 'mounted at /mnt')
    await end(agent)
    await useNode(nodes, 'vol-1', '')
  }

  it('removes a node that no agent has, by name or path', async () => {
    await leave()
    expect(await remote('down', 'vol-1')).toEqual({ code: 0, out: '/dev/fake1 is removed\n', err: '' })
    expect(await remote('down', 'vol-0')).toEqual({
      code: 1,
      out: '',
      err: 'blockbraid: /dev/fake0 is in use: mounted at /mnt; "blockbraid down --force vol-0" removes it all the same\n',
    })
    const { code, out } = await remote('down', '--force', '/dev/fake0', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toEqual({ pair: '/dev/fake0', down: true, stalled: false, nodes: ['/dev/fake0'] })
    expect(await remote('down', '--force', 'vol-0')).toEqual({
      code: 1,
      out: '',
      err: `blockbraid: no agent runs at ${control}: start one with "blockbraid up CONFIG"; no kernel node of this host is named vol-0\n`,
    })
  })

  it('removes every node of that name, and beside an agent that does not have it', async () => {
    await leave()
    const other = join(folder, 'other')
    await mkdir(other)
    await writeFile(
      join(other, 'fake5.json'),
      JSON.stringify({ node: '/dev/fake5', name: 'vol-0', volume: 'eui.x', pid: 0, left: true }),
    )
    await write(config('{ use: nbd, port: 0 }').replace('vol-{n}', 'new-{n}'))
    await up()
    const both = [fakeNodes(nodes), fakeNodes('', { broken: 'IO_FAILED' }), fakeNodes(other)]
    const removal = begin(folder, ['down', '--force', 'vol-0', '--control', control], {}, both)
    expect(await removal.ended).toEqual({ code: 0, out: '/dev/fake0 is removed\n/dev/fake5 is removed\n', err: '' })
    expect(await remote('down', 'vol-0')).toMatchObject({
      code: 1,
      err: 'blockbraid: there is no pair vol-0; up are new-0, new-1; no kernel node of this host is named vol-0\n',
    })
  })

  it('--force removes what the agent does not, because it hangs up', async () => {
    await leave()
    server = createServer((socket) => socket.once('data', () => socket.destroy())).listen(control)
    await expect.poll(() => readdir(folder)).toContain('control.sock')
    expect(await remote('down', 'vol-0')).toMatchObject({
      code: 1,
      err: 'blockbraid: the agent ended before it answered\n',
    })
    expect(await remote('down', '--force', 'vol-0')).toMatchObject({ code: 0, out: '/dev/fake0 is removed\n' })
  })
})

describe('down --force of a node that is served by a process that hangs', () => {
  it('tells what it waits for', async () => {
    await write()
    await up()
    const hanging = createServer(() => {})
    server = hanging.listen(join(folder, 'hanging.sock'))
    await expect.poll(() => readdir(folder)).toContain('hanging.sock')
    const slow = [fakeNodes(nodes, { slow: 2500 })]
    const args = ['down', '--force', '/dev/fake0', '--control', join(folder, 'hanging.sock')]
    const { code, out, err } = await begin(folder, args, {}, slow).ended
    expect({ code, out }).toEqual({ code: 0, out: '/dev/fake0 is removed\n' })
    expect(err).toBe(
      `blockbraid: /dev/fake0 waits for process ${process.pid}, which serves it: "kill -9 ${process.pid}" ends that at ` +
        'once, and leaves the other nodes of that process to the next agent\n',
    )
  }, 20_000)
})

describe('nodes', () => {
  const list = (...broken: string[]) =>
    begin(folder, ['nodes', '--json'], {}, [...broken.map((code) => fakeNodes('', { broken: code })), fakeNodes(nodes)])
      .ended

  it('are none where there are none, whatever this host cannot have', async () => {
    expect(await run(folder, 'nodes')).toEqual({ code: 0, out: 'no kernel nodes\n', err: '' })
    expect(await list('NOT_SUPPORTED')).toEqual({ code: 0, out: '{\n  "nodes": []\n}\n', err: '' })
  })

  it('are listed as far as they can be', async () => {
    const { code, out, err } = await list('IO_FAILED')
    expect([code, JSON.parse(out)]).toEqual([1, { nodes: [] }])
    expect(err).toMatch(/^blockbraid: \S+node-transport\.ts: no nodes to be seen here\n$/)
    const none = begin(folder, ['nodes'], {}, [fakeNodes('', { broken: 'NOT_SUPPORTED' })])
    expect(await none.ended).toMatchObject({ code: 1, err: expect.stringContaining('no nodes to be seen here') })
  })
})

describe('up --take-over', () => {
  it('has a running agent leave all of its nodes and end', async () => {
    await write(
      config(
        fake(),
        `    shared: true\n  - { volume: "memory:array0/port0/lun1", name: net, shared: true, transport: { use: nbd, port: 0 } }\n`,
      ),
    )
    const first = await up()
    const second = await up('--take-over')
    const { code, err } = await first.ended
    expect(code).toBe(0)
    expect(err).toBe(
      'blockbraid: vol-0: /dev/fake0 stays; its I/O waits up to 60 s for the next agent\n' +
        'blockbraid: vol-1: /dev/fake1 stays; its I/O waits up to 60 s for the next agent\n' +
        'blockbraid: another agent took over\n',
    )
    expect(pairsOf(second).slice(0, 2)).toEqual([
      { name: 'vol-0', node: '/dev/fake0', tookOver: true },
      { name: 'vol-1', node: '/dev/fake1', tookOver: true },
    ])
    expect(second.output.err).toContain(`blockbraid: the agent with pid ${process.pid} left 2 kernel nodes\n`)
    expect(second.output.err).toMatch(
      /^blockbraid: net: an export cannot be handed over: clients of nbd:\/\/127\.0\.0\.1:\d+\/net have to reconnect$/m,
    )
    expect((await remote('ls')).out).toContain('taken over')
  })

  it('waits until the process of the other has ended', async () => {
    await write()
    const first = await spawnUp()
    const second = await up('--take-over')
    expect(pairsOf(second)).toMatchObject([{ tookOver: true }, { tookOver: true }])
    expect(first.child.exitCode ?? (await first.ended)).toBe(0)
    expect(first.output.err).toContain('blockbraid: another agent took over\n')
  })

  it('does not wait for I/O that does not end: the next agent sends it again', async () => {
    await write(config(fake(', busy: true')))
    const first = await up()
    const second = await up('--take-over')
    const { code, err } = await first.ended
    expect({ code, err: err.split('\n').slice(2) }).toEqual({
      code: 0,
      err: ['blockbraid: another agent took over', ''],
    })
    expect(pairsOf(second)).toMatchObject([{ tookOver: true }, { tookOver: true }])
  })

  it('is a plain up where no agent runs', async () => {
    await write()
    const agent = await up('--take-over')
    expect(pairsOf(agent)).toMatchObject([{ tookOver: false }, { tookOver: false }])
    expect(agent.output.err).toBe('')
  })

  it('leaves a running agent alone where the new config does not do', async () => {
    await write()
    await up()
    await write(config('{ use: ./nope.ts }'))
    expect(await begin(folder, ['up', '--take-over', 'bb.yaml']).ended).toMatchObject({ code: 1 })
    expect((await remote('ls')).out).toContain('vol-1')
  })

  it('says so where a running agent is older or part of a program', async () => {
    await write()
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }] })
    const transport = fakeNodes(nodes)
    const devices = [{ volume: '*', name: 'vol-{n}', transport }]
    const embedded = await runAgent({ folder, control, targets: [{ use: 'memory', options: { array } }], devices })
    expect(await begin(folder, ['up', '--take-over', 'bb.yaml']).ended).toMatchObject({
      code: 1,
      err:
        `blockbraid: the agent at ${control} does not hand over: this agent is part of another program: end that program; ` +
        `"kill ${process.pid}" ends it and leaves nodes that are in use, "kill -9 ${process.pid}" leaves all\n`,
    })
    expect(embedded.agent.pairs).toHaveLength(1)
    await embedded.close()

    const answers = [
      { blockbraid: 1, ok: true, result: { pid: 2 ** 30 } },
      { blockbraid: 1, ok: false, error: 'the request has no known op' },
    ]
    server = createServer((socket) => {
      socket.once('data', () => socket.end(`${JSON.stringify(answers.shift())}\n`))
    }).listen(control)
    await expect.poll(() => readdir(folder)).toContain('control.sock')
    expect(await begin(folder, ['up', '--take-over', 'bb.yaml']).ended).toMatchObject({
      code: 1,
      err: expect.stringContaining('does not hand over: the request has no known op; "kill 1073741824" ends it'),
    })
  })
})

describe('swap on a node', () => {
  it('keeps a node from being taken over, with the reason', async () => {
    await write()
    const first = await up()
    await useNode(nodes, 'vol-0', 'swap')
    await end(first)
    vi.mocked(swapsOnNode).mockImplementation(async (node) => (node === '/dev/fake0' ? ['/dev/fake0p2'] : []))
    const second = await up()
    expect(await second.ended).toMatchObject({
      code: 1,
      err:
        `blockbraid: ${folder}/bb.yaml:7:5: pair vol-0: /dev/fake0 is not taken over: it is used as swap (/dev/fake0p2), ` +
        'and swap there deadlocks: to swap out, the kernel waits for this agent, which may be waiting for memory; ' +
        'run "swapoff /dev/fake0p2", then "blockbraid up" again\n',
    })
    expect(await kept()).toEqual(['fake0.json'])
  })

  it('is told once, and loudly, when it comes while the agent runs', async () => {
    const lines: string[] = []
    let tick: (() => void) | undefined
    let cancelled = 0
    const clock = {
      ...systemHost.clock,
      after(_milliseconds: number, callback: () => void) {
        tick = callback
        return { cancel: () => void cancelled++ }
      },
    }
    const pair = { id: 'vol-0', kernel: { node: '/dev/fake0' } } as BlockDevicePair
    const care = createNodeCare(
      () => [pair],
      clock,
      (line) => lines.push(line),
    )
    await care.attached(pair)
    await care.attached(pair)
    vi.mocked(swapsOnNode).mockResolvedValue(['/mnt/swapfile'])
    for (let round = 0; round < 3; round++) {
      const last = tick
      last?.()
      await expect.poll(() => tick).not.toBe(last)
    }
    expect(lines).toEqual([
      'vol-0: /dev/fake0 IS USED AS SWAP (/mnt/swapfile): swap there deadlocks: to swap out, the kernel waits for this ' +
        'agent, which may be waiting for memory; run "swapoff /mnt/swapfile" now',
    ])
    care.close()
    expect(cancelled).toBe(1)
  })
})

it('lists nodes once for devices with the same transport: it takes long where there are many', async () => {
  let lists = 0
  const transport = (name: string, options = {}): object => ({
    volume: name,
    name,
    transport: { use: 'nbd', options, at: name },
  })
  const devices = [transport('a'), transport('b'), transport('c', { kernel: true }), transport('d', { kernel: true })]
  const nodes = async (): Promise<readonly KernelNode[]> => {
    lists++
    return [{ node: '/dev/fake0', name: 'a', volume: 'a', served: false, users: [] }]
  }
  const create = (): Transport => ({ name: 'fake', attach: async () => expect.unreachable(), nodes, async close() {} })
  const left = await leftNodes({ targets: [], devices } as unknown as Config, () => create)
  expect(left.map(({ node }) => node)).toEqual(['/dev/fake0'])
  expect(lists).toBe(2)
})
