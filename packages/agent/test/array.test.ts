// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables are part of what is tested
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Path } from '@blockbraid/core'
import { Io, IoOp, OK, systemHost } from '@blockbraid/core'
import { iscsi } from '@blockbraid/target-iscsi'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parseArrayFile } from '../src/array/array-file.ts'
import type { Lab } from '../src/array/lab.ts'
import { startLab } from '../src/array/lab.ts'
import type { LabState } from '../src/array/state.ts'
import { stateOf } from '../src/array/state.ts'
import { runWords } from '../src/array/words.ts'
import type { InProcess } from './fixtures/terminal.ts'
import { begin, run } from './fixtures/terminal.ts'

const SOON = { timeout: 15_000 }
const FREE = `volumes: [{ size: 4MiB, blockSize: 512 }]
arrays:
  - use: iscsi
    name: iqn.2026-11.io.example:lab
    ports: [127.0.0.1:0, { port: 0, access: standby }]
`
const parse = (text: string, file = 'lab.yaml') => parseArrayFile(text, file, { SECRET: 'hunter2hunter2' })

let folder: string
let atEnd: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-array-'))
})
afterEach(async () => {
  for (const end of atEnd.reverse()) await end()
  atEnd = []
})
afterAll(() => rm(folder, { recursive: true }))

async function lab(text = FREE): Promise<Lab> {
  const made = await startLab(parse(text), systemHost)
  atEnd.push(() => made.close())
  return made
}

async function connect({ ports }: Lab, port = 0): Promise<Path> {
  const target = iscsi({ portals: [ports[port]!.wire.address] })
  atEnd.push(() => target.close({ signal: AbortSignal.timeout(1000) }).catch(() => {}))
  const infos = await target.discover()
  return target.connect(infos.find(({ address }) => address === ports[port]!.wire.address)!)
}

function write(path: Path, fill: number): Promise<number> {
  const io = new Io()
  io.op = IoOp.Write
  io.length = 512
  io.buffers = [new Uint8Array(512).fill(fill)]
  return new Promise((resolve) => {
    io.done = (_io, status) => resolve(status)
    path.submit(io)
  })
}

describe('a file of arrays', () => {
  it('has names, ports and identities that are the same in every run', () => {
    const text = `volumes: [{ size: 1GiB }, { size: 64MiB, id: uuid.2ad5c0ea-3f1d-4b6b-9e2b-6f7b6b3a9d10 }]
arrays:
  - { use: iscsi, name: iqn.2026-11.io.example:lab, ports: ["[::1]:3261", { host: 192.0.2.1, group: 7 }] }
  - { use: nvmeof, name: nqn.2026-11.io.example:lab, quiesceTime: 2s, ports: [192.0.2.1, 192.0.2.2:4421] }
`
    const file = parse(text, '/etc/lab.test.yaml')
    expect(file.name).toBe('lab')
    expect(file.volumes.map(({ id }) => id)).toEqual([
      'eui.3f6a798ce78ac200888c95e67ea934e5',
      'uuid.2ad5c0ea-3f1d-4b6b-9e2b-6f7b6b3a9d10',
    ])
    expect(file.arrays.map(({ ports }) => ports.map(({ host, port }) => `${host} ${port}`))).toEqual([
      ['::1 3261', '192.0.2.1 3260'],
      ['192.0.2.1 4420', '192.0.2.2 4421'],
    ])
    expect(file.arrays[0]!.ports[1]!.options).toEqual({ group: 7 })
    expect(file.arrays[1]!.options).toEqual({ quiesceTime: 2000 })
  })

  it.each([
    ['a wrong kind', 'use: iscsi', 'use: nvme', 'lab.yaml:3:10: arrays[0].use is "nvme": it must be iscsi or nvmeof'],
    [
      'a wrong port',
      '127.0.0.1:0',
      'a:b:c',
      'lab.yaml:5:13: arrays[0].ports[0] is "a:b:c": it must be host, host:port or [v6]:port',
    ],
    ['a wrong size', '4MiB', '4MB', 'lab.yaml:1:19: volumes[0].size is "4MB": it must be a size in bytes'],
    [
      'a wrong state',
      'standby',
      'asleep',
      'lab.yaml:5:45: arrays[0].ports[1].access is "asleep": it must be optimized, non-optimized,',
    ],
  ])('with %s is refused, with line and field', (_what, good, bad, message) => {
    expect(() => parse(FREE.replace(good, bad))).toThrow(message)
  })

  it('that misspells an option is told what is meant', () => {
    expect(() => parse(FREE.replace('    ports:', '    windw: 3\n    ports:'))).toThrow(
      'lab.yaml:5:5: arrays[0].windw is not a known option: did you mean window?',
    )
  })

  it('whose array refuses an option is told where that stands, without its secrets', async () => {
    const text = FREE.replace('    ports:', '    chap: { user: "", secret: "${SECRET}" }\n    ports:')
    const error = await startLab(parse(text), systemHost).catch((reason: unknown) => reason)
    expect(String(error)).toMatch(/^ConfigError: lab\.yaml:5:11: iscsi array: chap/)
    expect(String(error)).not.toContain('hunter2')
  })

  it('whose address is taken is told so', async () => {
    const { ports } = await lab()
    const taken = FREE.replace('127.0.0.1:0', ports[0]!.wire.address)
    await expect(startLab(parse(taken), systemHost)).rejects.toThrow(/^lab\.yaml:3:5: iscsi array: .*EADDRINUSE/)
  })
})

describe('an array that runs', () => {
  it('holds what changes data at a port, and executes it when it is released', async () => {
    const made = await lab()
    const path = await connect(made)
    await runWords(made, 'port 0 hold')
    const written = write(path, 1)
    await expect
      .poll(() => stateOf(made).ports[0], SOON)
      .toMatchObject({ holds: true, held: 1, hosts: [expect.stringMatching(/^iqn/)] })
    expect(made.storage.peek(0, 0, 1)[0]).toBe(0)
    await runWords(made, 'port 0 release')
    expect(await written).toBe(OK)
    expect(made.storage.peek(0, 0, 1)[0]).toBe(1)
    expect(stateOf(made).ports[0]).toMatchObject({ holds: false, held: 0 })
  })

  it('does not execute what was held for a session that has ended', async () => {
    const made = await lab()
    const path = await connect(made)
    await runWords(made, 'port 0 hold')
    const written = write(path, 1)
    await expect.poll(() => stateOf(made).ports[0]?.held, SOON).toBe(1)
    await runWords(made, 'port 0 reset')
    expect(await written).not.toBe(OK)
    await path.close()
    await runWords(made, 'heal')
    expect(made.storage.peek(0, 0, 1)[0]).toBe(0)
  })

  it('ends and refuses connections, changes access, size and what is mapped', async () => {
    const made = await lab()
    const path = await connect(made)
    const seen: unknown[] = []
    path.events.on('access', (access) => seen.push(access))
    path.events.on('limits', ({ size }) => seen.push(size))
    path.events.on('down', () => seen.push('down'))
    await runWords(made, 'volume all access port 0 non-optimized')
    await write(path, 1)
    await expect.poll(() => seen, SOON).toContain('non-optimized')
    await runWords(made, 'volume 0 grow 8MiB')
    await write(path, 1)
    await expect.poll(() => seen, SOON).toContain(8 * 2 ** 20)
    await runWords(made, 'volume add 1MiB 512')
    expect(stateOf(made).volumes.map(({ size, at }) => [size, at.map(({ lun }) => lun)])).toEqual([
      [8 * 2 ** 20, [0, 0]],
      [2 ** 20, [1, 1]],
    ])
    await runWords(made, 'volume 1 remove')
    expect(stateOf(made).volumes[1]?.at).toEqual([])
    await runWords(made, 'port all down')
    await expect.poll(() => seen, SOON).toContain('down')
    expect(stateOf(made).ports.map(({ state }) => state)).toEqual(['down', 'down'])
    await expect(connect(made)).rejects.toThrow('refused')
    await runWords(made, 'heal')
    expect(stateOf(made).ports.map(({ state }) => state)).toEqual(['up', 'up'])
    await connect(made)
    expect(stateOf(made).violations).toEqual([])
  })

  it.each([
    ['port 9 down', 'port is 9; it must be all, or a number from 0 to 1'],
    ['port 0 explode', '"port 0 explode" is no command: it must be one of: ls; port N down|up'],
    ['power loss', '"power loss" is no command'],
    ['volume 3 grow 8MiB', 'volume'],
    ['volume add 1MiB 512 junk', 'volume add takes a size, a block size and an identity, not "1MiB 512 junk"'],
  ])('refuses "%s"', async (words, message) => {
    const made = await lab()
    await expect(runWords(made, words)).rejects.toThrow(message)
  })
})

describe('blockbraid array', () => {
  let serving: InProcess

  async function serve(): Promise<LabState & { control: string }> {
    await writeFile(join(folder, 'lab.yaml'), `control: ${folder}/lab.sock\n${FREE}`)
    serving = begin(folder, ['array', 'lab.yaml', '--json'])
    atEnd.push(() => {
      serving.interrupt()
      return serving.ended
    })
    await Promise.race([serving.ended, expect.poll(() => serving.output.out, SOON).toContain('}\n')])
    expect(serving.output.err).toBe('')
    return JSON.parse(serving.output.out)
  }

  it('serves until it is interrupted, and does what it is told meanwhile', async () => {
    const { control, ports } = await serve()
    expect(control).toBe(join(folder, 'lab.sock'))
    expect(ports.map(({ port, state }) => [port, state])).toEqual([
      [0, 'up'],
      [1, 'up'],
    ])
    expect(await run(folder, 'array', 'lab.yaml', 'port', '1', 'down')).toEqual({ code: 0, out: '', err: '' })
    const { out } = await run(folder, 'array', 'lab.yaml', 'ls')
    const shown = out.replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:00000')
    expect(`\n${shown}`).toMatchInlineSnapshot(`
      "
      port  address          array                       state  hosts  in flight
         0  127.0.0.1:00000  iqn.2026-11.io.example:lab  up         0          0
         1  127.0.0.1:00000  iqn.2026-11.io.example:lab  down       0          0

      volume  identity                             size  block  access
           0  eui.3f6a798..ac200888c95e67ea934e5  4 MiB    512  optimized 0, standby 1
      "
    `)
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
    const told = await run(folder, 'array', 'lab.yaml', 'port 1 up', '--json')
    expect((JSON.parse(told.out) as LabState).ports[1]).toMatchObject({ state: 'up', use: 'iscsi' })
    expect(await run(folder, 'array', 'lab.yaml', 'port 1 jump')).toMatchObject({
      code: 1,
      err: expect.stringContaining('blockbraid: "port 1 jump" is no command'),
    })
    expect(await run(folder, 'array', 'lab.yaml')).toMatchObject({
      code: 1,
      err: expect.stringContaining('end it first, or give this one another control socket'),
    })
    serving.interrupt()
    expect((await serving.ended).code).toBe(0)
    expect(await run(folder, 'array', 'lab.yaml', 'ls')).toMatchObject({
      code: 1,
      err: `blockbraid: no array listens at ${folder}/lab.sock: start one with "blockbraid array FILE"\n`,
    })
  })

  it('says what is wrong with its file', async () => {
    await writeFile(join(folder, 'bad.yaml'), FREE.replace('use: iscsi', 'use: nvme'))
    expect(await run(folder, 'array', 'bad.yaml')).toMatchObject({
      code: 1,
      err: `blockbraid: ${folder}/bad.yaml:3:10: arrays[0].use is "nvme": it must be iscsi or nvmeof such as nvmeof\n`,
    })
    expect((await run(folder, 'array', 'none.yaml')).err).toBe(`blockbraid: there is no file ${folder}/none.yaml\n`)
  })
})
