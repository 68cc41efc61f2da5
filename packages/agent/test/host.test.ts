import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkNodes } from '../src/config/check-nodes.ts'
import type { Source, Step } from '../src/config/source.ts'
import type { ProcessCalls } from '../src/nodes/protect.ts'
import { protectProcess } from '../src/nodes/protect.ts'
import { tellReady } from '../src/nodes/ready.ts'
import { swapsOnNode } from '../src/nodes/swap.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-host-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('protection of the process', () => {
  const refuse = (): never => {
    throw new Error('EPERM: not permitted')
  }
  const protect = async (change: Partial<ProcessCalls>) => {
    const lines: string[] = []
    const done: unknown[] = []
    const calls: ProcessCalls = {
      setIoFlusher: (on) => done.push(['flusher', on]),
      lockMemory: () => done.push('locked'),
      oomScore: async () => 0,
      setOomScore: async (score) => void done.push(['oom', score]),
      ...change,
    }
    await protectProcess((line) => lines.push(line), calls)
    return { lines, done }
  }

  it('asks for all of it, and then says nothing', async () => {
    expect(await protect({})).toEqual({ lines: [], done: [['flusher', true], 'locked', ['oom', -1000]] })
    expect((await protect({ oomScore: async () => -1000 })).done).toEqual([['flusher', true], 'locked'])
  })

  it('says of each that is refused why, and what may come of it', async () => {
    const { lines, done } = await protect({ setIoFlusher: refuse, lockMemory: refuse, setOomScore: refuse })
    expect(done).toEqual([])
    expect(lines).toEqual([
      'cannot become an I/O flusher (needs CAP_SYS_RESOURCE): EPERM: not permitted; when memory is short this agent may wait for writes to its own nodes, for ever',
      'cannot lock memory (needs CAP_IPC_LOCK, or LimitMEMLOCK=infinity): EPERM: not permitted; when memory is short parts of this agent may have to be read back from a disk that waits for it',
      'cannot be exempt from the OOM killer (needs CAP_SYS_RESOURCE): oom_score_adj stays 0, not -1000 (EPERM: not permitted); when memory is short the kernel may kill this agent, and I/O on its nodes waits for the next',
    ])
  })

  it('takes the OOM score that is allowed', async () => {
    const tried: number[] = []
    const { lines } = await protect({
      oomScore: async () => 200,
      setOomScore: async (score) => {
        tried.push(score)
        if (score < 0) refuse()
      },
    })
    expect(tried).toEqual([-1000, 0])
    expect(lines).toEqual([expect.stringContaining('oom_score_adj stays 0, not -1000')])
  })
})

describe('swap', () => {
  const numbers: Record<string, string> = {
    '/dev/sda2': '8:2',
    '/dev/nbd0p2': '43:2',
    '/dev/dm-1': '253:1',
    '/mnt/swap file': '43:1',
    '/srv/swap': '8:1',
  }
  const numberOf = async (swap: string): Promise<string> => numbers[swap] ?? Promise.reject(new Error('ENOENT'))

  async function look(node: string, ...swaps: string[]): Promise<string[]> {
    const blocks = join(folder, 'block')
    const devices: Record<string, [number: string, ...holders: string[]]> = {
      nbd0: ['43:0'],
      'nbd0/nbd0p1': ['43:1'],
      'nbd0/nbd0p2': ['43:2', 'dm-0'],
      nbd1: ['43:32'],
      'dm-0': ['253:0', 'dm-1'],
      'dm-1': ['253:1'],
    }
    for (const [path, [number, ...holders]] of Object.entries(devices)) {
      for (const holder of ['', ...holders]) await mkdir(join(blocks, path, 'holders', holder), { recursive: true })
      await writeFile(join(blocks, path, 'dev'), `${number}\n`)
    }
    const lines = swaps.map(
      (swap) => `${swap.replace(' ', '\\040')}\t${swap.startsWith('/dev') ? 'partition' : 'file'}\t9\t0\t-2`,
    )
    await writeFile(join(folder, 'swaps'), ['Filename\tType\tSize\tUsed\tPriority', ...lines, ''].join('\n'))
    return swapsOnNode(node, { swaps: join(folder, 'swaps'), blocks, numberOf })
  }

  it('is found on a node, on its partitions, on devices above, and in files on them', async () => {
    expect(await look('/dev/nbd0', '/dev/sda2', '/dev/nbd0p2', '/dev/dm-1', '/mnt/swap file', '/srv/swap')).toEqual([
      '/dev/nbd0p2',
      '/dev/dm-1',
      '/mnt/swap file',
    ])
  })

  it('is not found elsewhere, nor where nothing can be read', async () => {
    expect(await look('/dev/nbd1', '/dev/sda2', '/dev/nbd0p2', '/dev/gone')).toEqual([])
    expect(await look('/dev/nbd7', '/dev/nbd0p2')).toEqual([])
    expect(await swapsOnNode('/dev/nbd0', { swaps: join(folder, 'none') })).toEqual([])
  })

  it('is told by the number of a device that the system has', async () => {
    const [, major, minor] = /^(\d+):(\d+)$/m.exec(await readFile('/sys/class/mem/null/dev', 'utf8')) ?? []
    const blocks = join(folder, 'block')
    await mkdir(join(blocks, 'nbd0'), { recursive: true })
    await writeFile(join(blocks, 'nbd0/dev'), `${major}:${minor}\n`)
    await writeFile(join(folder, 'swaps'), 'Filename\n/dev/null partition 1 0 -2\n/dev/zero partition 1 0 -2\n')
    expect(await swapsOnNode('/dev/nbd0', { swaps: join(folder, 'swaps'), blocks })).toEqual(['/dev/null'])
  })
})

describe('readiness', () => {
  it('is told to systemd where it waits for that', async () => {
    const lines: string[] = []
    const report = (line: string): void => void lines.push(line)
    const script = `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${folder}/told\n`
    await writeFile(join(folder, 'systemd-notify'), script)
    await chmod(join(folder, 'systemd-notify'), 0o755)
    await tellReady({ PATH: folder }, 'never', report)
    await tellReady({ PATH: `${folder}:/bin:/usr/bin`, NOTIFY_SOCKET: '/run/x' }, '2 pairs are up', report)
    expect(await readFile(join(folder, 'told'), 'utf8')).toBe('/run/x --ready --status=2 pairs are up\n')
    expect(lines).toEqual([])
    await tellReady({ PATH: '/nowhere', NOTIFY_SOCKET: '/run/x' }, 'x', report)
    expect(lines).toEqual(['cannot tell systemd that the nodes are ready: spawn systemd-notify ENOENT'])
  })
})

describe('time-outs of nodes', () => {
  const check = (use: string, options: Record<string, unknown>, noPathTimeout?: number): void =>
    checkNodes(
      [
        {
          volume: '*',
          name: 'x',
          transport: { use, options },
          ...(noPathTimeout !== undefined && { multipath: { noPathTimeout } }),
        },
      ],
      { locate: (path: readonly Step[]) => path.join('/') } as unknown as Source,
    )

  it.each([
    ['nbd', { kernel: true }, undefined],
    ['nbd', { kernel: true, requestTimeout: 0 }, undefined],
    ['nbd', { kernel: true, requestTimeout: 30_001 }, undefined],
    ['nbd', { kernel: 'auto', requestTimeout: 6000 }, 5000],
    ['nbd', { requestTimeout: 1 }, undefined],
    ['nbd', { kernel: true, connections: 4 }, undefined],
    ['./mine.ts', { kernel: true, requestTimeout: 1 }, undefined],
  ])('%s %j with noPathTimeout %j fit', (use, options, noPathTimeout) => {
    expect(() => check(use, options, noPathTimeout)).not.toThrow()
  })

  it.each([
    ['nbd', { kernel: true, requestTimeout: 30_000 }, undefined, '30s', '30s'],
    ['@blockbraid/transport-nbd', { kernel: 'auto', requestTimeout: 5000 }, 5000, '5s', '5s'],
    ['nbd', { kernel: true, connections: 2 }, 90_000, '60s', '90s'],
  ])('%s %j with noPathTimeout %j do not fit', (use, options, noPathTimeout, is, other) => {
    expect(() => check(use, options, noPathTimeout)).toThrow(
      `devices/0/transport/requestTimeout: devices[0].transport.requestTimeout is ${is}: it must be longer than ` +
        `devices[0].multipath.noPathTimeout, ${other}: the kernel drops the connection of a request that waits for a path longer than that`,
    )
  })
})
