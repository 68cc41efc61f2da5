import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { callControl } from '../src/control/client.ts'
import type { InProcess } from './fixtures/terminal.ts'
import { begin, run } from './fixtures/terminal.ts'

const LONG = { timeout: 15_000 }
const target = fileURLToPath(new URL('fixtures/nvme-target.ts', import.meta.url))
let folder: string
let control: string
let agent: InProcess | undefined

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-nvme-'))
  control = join(folder, 'control.sock')
})
afterEach(async () => {
  agent?.interrupt()
  await agent?.ended
  agent = undefined
})
afterAll(() => rm(folder, { recursive: true }))

async function up(use = `{ use: ${target} }`): Promise<void> {
  await writeFile(
    join(folder, 'bb.yaml'),
    `control: ${control}
targets: [${use}]
devices: [{ volume: "*", name: vol-{n}, transport: { use: nbd, socket: ${folder}/nbd.sock } }]
`,
  )
  agent = begin(folder, ['up', 'bb.yaml', '--json'])
  const { output, ended } = agent
  await Promise.race([ended, expect.poll(() => output.out, LONG).toContain('}\n')])
  expect(output.err).toBe('')
}

const nvme = (...words: string[]) => run(folder, 'nvme', 'vol-0', ...words, '--control', control)
const lines = async (...words: string[]): Promise<string> => {
  const { code, out, err } = await nvme(...words)
  expect([err, code]).toEqual(['', 0])
  expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  return `\n${out}`
}
const json = async (...words: string[]) => {
  const { code, out, err } = await nvme(...words, '--json')
  return { code, err, ...JSON.parse(out) }
}

describe('blockbraid nvme tells in words', () => {
  it('what a controller and its namespace are', async () => {
    await up()
    expect(await lines('id-ctrl')).toMatchInlineSnapshot(`
      "
      model                   EXAMPLE ARRAY
      serial                  SN-0001
      firmware                1.2
      subsystem               nqn.2026-11.io.example:array
      controller              17, I/O
      standard                NVMe 2.1.0
      longest transfer        1 MiB in pages of 4 KiB
      commands                deallocate, write zeroes, reservations
      write cache             yes
      namespaces              numbers up to 128
      ANA                     yes, transitions of at most 10 s
      keep alive              in steps of 1000 ms, by Keep Alive commands
      time to quiesce         1500 ms
      cross-controller reset  yes, 4 at once
      instance                3, 0000000000005566
      retry delays            100 ms, 500 ms, 1000 ms
      in-capsule data         9 KiB
      "
    `)
    expect(await lines('id-ns')).toMatchInlineSnapshot(`
      "
      size                 1 MiB, 2048 blocks
      capacity             2048 blocks
      blocks               512 bytes
      protection           off
      thin                 no
      shared               yes
      write protected      no
      deallocated is zero  yes
      boundary             not told
      atomic               as the controller says
      best written         1 blocks
      ANA group            1
      reservations         write-exclusive, exclusive-access,
                           write-exclusive-registrants, exclusive-access-registrants,
                           write-exclusive-all, exclusive-access-all
      NGUID                60000000000000000000000000000001
      EUI-64               none
      "
    `)
    expect(await lines('ns-descs')).toMatchInlineSnapshot(`
      "
      UUID         eac0d52a000000000000000000000010
      NGUID        none
      EUI-64       none
      command set  not told
      "
    `)
    expect(await lines('list-ns')).toMatchInlineSnapshot(`
      "
      1
      7
      "
    `)
  })

  it('whether writes may move fast, for each path', async () => {
    await up()
    expect(await lines('fence')).toMatchInlineSnapshot(`
      "
      nvme-tcp:nqn.2026-11.io.example:array/192.0.2.1:4420/ns1
      keep-alive timeout      5 s
      in steps of             1 s
      kept alive by           Keep Alive commands
      time to quiesce         1500 ms
      cross-controller reset  yes, 4 at once
      writes of a lost path   move at once where its admin queue still answers, or
                              another path has it reset; else after 11500 ms

      nvme-tcp:nqn.2026-11.io.example:array/192.0.2.2:4420/ns1
      keep-alive timeout      5 s
      in steps of             1 s
      kept alive by           Keep Alive commands
      time to quiesce         1500 ms
      cross-controller reset  yes, 4 at once
      writes of a lost path   move at once where its admin queue still answers, or
                              another path has it reset; else after 11500 ms
      "
    `)
    expect((await json('fence', '--path', '192.0.2.2')).paths[0].value).toEqual({
      keepAliveTimeout: 5000,
      keepAliveGranularity: 1000,
      trafficBased: false,
      quiesceTime: 1500,
      crossResets: 4,
      wait: 11_500,
    })
  })

  it('what its logs say', async () => {
    await up()
    expect(await lines('ana-log')).toMatchInlineSnapshot(`
      "
      group  access         namespaces
          1  optimized      1 7
          2  transitioning
      "
    `)
    expect(await lines('smart-log')).toMatchInlineSnapshot(`
      "
      critical     spare capacity is low
      temperature  27 °C
      spare        9 %, critical below 10 %
      used         3 %
      read         1000 KiB by 100 commands
      written      0 B by 0 commands
      busy         0 minutes
      power        0 hours on, 0 times, 0 lost
      errors       1 of the medium, 0 in the error log
      "
    `)
    expect(await lines('error-log')).toMatchInlineSnapshot(`
      "
      count  queue  opcode  namespace  block  status
          3      1  0x02            1     17  unrecovered read error (status 2/81h)
      "
    `)
    expect(await lines('reset-log')).toMatchInlineSnapshot(`
      "
      controller  instance  state
               9         1  done
      "
    `)
    expect(await lines('get-feature', '0x0f')).toMatchInlineSnapshot(`
      "
      0x00001388 (5000)
      "
    `)
  })

  it('who holds a reservation, and changes that', async () => {
    await up()
    expect(await lines('resv-report')).toBe('\nnobody is registered (generation 0)\n')
    expect(await lines('resv-register', '--key', '1f')).toBe('\nresv-register: done\n')
    // Another one takes its place.
    await lines('resv-register', '--key', '0x2e')
    await lines('resv-acquire', '--key', '2e', '--type', 'exclusive-access')
    expect(await lines('resv-report')).toMatchInlineSnapshot(`
      "
      host                            controller  key                 holds
      ababababab..ababababababababab          17  0x000000000000002e  exclusive-access
      "
    `)
    expect(await nvme('resv-release', '--key', '99')).toEqual({
      code: 1,
      out: '',
      err: 'blockbraid: resv-release: reservation conflict (status 0/83h)\n',
    })
    await lines('resv-preempt', '--key', '2e', '--victim', '77')
    await lines('resv-clear', '--key', '2e')
    expect(await lines('resv-report')).toContain('nobody')
  })
})

describe('blockbraid nvme', () => {
  it('sends any command, and shows its answer as it is', async () => {
    await up()
    expect(await lines('raw', 'io', '0x0c', 'nsid=7')).toBe('\nresult 0x00000007\n')
    expect(await lines('raw', 'admin', '6', 'cdw10=2', '--in', '16')).toMatchInlineSnapshot(`
      "
      result 0x00000000
      000000  01 00 00 00 07 00 00 00 00 00 00 00 00 00 00 00  ................
      "
    `)
    expect(await json('raw', 'admin', '6', 'cdw10=2', '--in', '8')).toMatchObject({
      code: 0,
      pair: 'vol-0',
      request: 'raw',
      status: 0,
      text: 'success',
      result: 0,
      data: '0100000007000000',
    })
    expect(await json('get-feature', '5')).toMatchObject({
      code: 1,
      status: 2,
      text: 'invalid field in command (status 0/02h)',
      err: 'blockbraid: get-feature 0x05: invalid field in command (status 0/02h)\n',
    })
    expect((await nvme('raw', 'io', '1', '--out', '00')).err).toContain(
      'failed before it answered (the connection was lost); the command may have run',
    )
  })

  it.each([
    [['frob'], '"frob" is no NVMe request: it must be one of id-ctrl, fence, id-ns'],
    [['id-ctrl', 'now'], 'id-ctrl has no further words: "now" is too much'],
    [['id-ctrl', '--key', '1'], 'id-ctrl takes no --key'],
    [['resv-acquire'], 'resv-acquire needs --key KEY, up to 16 hex digits'],
    [['resv-acquire', '--key', '1', '--type', 'mine'], '--type is "mine": it must be one of write-exclusive,'],
    [['get-feature', '300'], 'get-feature ID: "300" must be a number up to 255, such as 0x0f'],
    [['raw', 'both', '1'], 'raw needs admin or io first, not "both"'],
    [['raw', 'io', '1', 'cdw9=1'], 'raw: "cdw9=1" is no field: it must be one of nsid, cdw10,'],
    [['raw', 'io', '1', '--in', '4', '--out', '00'], '--in and --out: a command has one of them'],
    [['id-ns', '--nsid', 'x'], '--nsid is "x": it must be a number, 1 or more'],
  ])('%j is wrong usage', async (words, message) => {
    await up()
    const { code, err } = await nvme(...words)
    expect(err).toContain(`blockbraid: ${message}`)
    expect(code).toBe(2)
  })

  it('refuses what is the connection’s own', async () => {
    await up()
    expect(await nvme('raw', 'admin', '0x0c')).toMatchObject({
      code: 1,
      err: "blockbraid: Asynchronous Event Request is the connection's own, and is not sent by hand\n",
    })
  })

  it('takes the namespace of the path, and asks where paths have several', async () => {
    await up(`{ use: ${target}, nsids: [1, 7] }`)
    expect(await nvme('id-ns')).toMatchObject({
      code: 1,
      err: 'blockbraid: paths of vol-0 lead to the namespaces 1 and 7 of their subsystems: choose with --path\n',
    })
    expect(await lines('id-ns', '--path', '192.0.2.2')).toContain('1 MiB, 2048 blocks')
    expect(await lines('list-ns')).toBe('\n1\n7\n')
  })

  it('says so where no path speaks it', async () => {
    await up('{ use: memory, volumes: [{ size: 1MiB }] }')
    expect((await nvme('id-ctrl')).err).toMatch(/^blockbraid: no path to volume \S+ that is up takes NVME commands\n$/)
    expect((await nvme('id-ns')).err).toBe('blockbraid: no path of vol-0 tells its namespace: name it with --nsid\n')
    expect((await nvme('fence')).err).toContain('takes no NVME commands')
  })

  it('is refused in parts that make no sense, over the control socket', async () => {
    await up()
    const ask = (more: object) =>
      callControl(control, { op: 'nvme', pair: 'vol-0', queue: 'io', opcode: '12', ...more })
    await expect(ask({ queue: 'x' })).rejects.toThrow('queue is "x"; it must be admin or io')
    await expect(ask({ opcode: '0x2' })).rejects.toThrow('opcode is "0x2"; it must be a number below 2 ** 32')
    await expect(ask({ dwords: '1 2 3 4 5 6 7' })).rejects.toThrow('dwords has 7 numbers; there are 6')
    expect(await ask({ nsid: '3' })).toEqual({ status: 0, result: 3, resultHigh: 0, data: '' })
  })
})
