import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { callControl } from '../src/control/client.ts'
import { describeAnswer, succeeded } from '../src/scsi/status.ts'
import type { InProcess } from './fixtures/terminal.ts'
import { begin, run } from './fixtures/terminal.ts'

const LONG = { timeout: 15_000 }
const target = fileURLToPath(new URL('fixtures/scsi-target.ts', import.meta.url))
let folder: string
let control: string
let agent: InProcess | undefined

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-scsi-'))
  control = join(folder, 'control.sock')
})
afterEach(async () => {
  agent?.interrupt()
  await agent?.ended
  agent = undefined
})
afterAll(() => rm(folder, { recursive: true }))

async function up(use: string = target): Promise<void> {
  await writeFile(
    join(folder, 'bb.yaml'),
    `control: ${control}
targets: [{ use: ${use}${use === 'memory' ? ', volumes: [{ size: 1MiB }]' : ''} }]
devices: [{ volume: "*", name: vol-{n}, transport: { use: nbd, socket: ${folder}/nbd.sock } }]
`,
  )
  agent = begin(folder, ['up', 'bb.yaml', '--json'])
  const { output, ended } = agent
  await Promise.race([ended, expect.poll(() => output.out, LONG).toContain('}\n')])
  expect(output.err).toBe('')
}

const scsi = (...words: string[]) => run(folder, 'scsi', 'vol-0', ...words, '--control', control)
const lines = async (...words: string[]): Promise<string> => {
  const { code, out, err } = await scsi(...words)
  expect([err, code]).toEqual(['', 0])
  expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  return `\n${out}`
}
const json = async (...words: string[]): Promise<Record<string, unknown>> =>
  JSON.parse((await scsi(...words, '--json')).out)

describe('scsi', () => {
  it('prints INQUIRY data, pages, LUNs, port groups and the capacity in words', async () => {
    await up()
    expect(await lines('inquiry')).toMatchInlineSnapshot(`
      "
      device             disk
      vendor             EXAMPLE
      product            DISK
      revision           0001
      standard           SPC-4
      asymmetric access  implicit
      third-party copy   no
      protection         no
      "
    `)
    expect(await lines('vpd')).toMatchInlineSnapshot(`
      "
      pages  0x00 0x80 0x83 0xb0 0xc0
      "
    `)
    expect(await lines('vpd', '80')).toMatchInlineSnapshot(`
      "
      serial  SN-0001
      "
    `)
    expect(await lines('vpd', '0x83')).toMatchInlineSnapshot(`
      "
      volume  naa.60014050111111111111111111111111
      port    relative port 2
      target  iqn.2026-11.io.example:array
      "
    `)
    expect(await lines('vpd', 'B0')).toMatchInlineSnapshot(`
      "
      longest transfer    2048 blocks
      best transfer       1024 blocks
      granularity         8 blocks
      longest unmap       not told
      unmap ranges        not told
      unmap granularity   not told
      unmap alignment     not told
      longest write same  not told
      write same of 0     refused
      compare and write   not told
      "
    `)
    expect(await lines('vpd', 'c0')).toMatchInlineSnapshot(`
      "
      000000  76 65 6e 64 6f 72 20 70 61 67 65 21 20 20 20 20  vendor page!
      000010  20 20 20 20
      "
    `)
    expect(await lines('luns')).toMatchInlineSnapshot(`
      "
      0
      300
      "
    `)
    expect(await lines('rtpg')).toMatchInlineSnapshot(`
      "
      group   1
      access  optimized, preferred
      ports   2
      can be  optimized, non-optimized, standby, unavailable, transitioning
      "
    `)
    expect(await lines('capacity')).toMatchInlineSnapshot(`
      "
      size             1 MiB, 1048576 bytes
      blocks           2048 of 512 bytes
      physical blocks  4096 bytes, the first at block 0
      thin             yes, unmapped is zero
      protection       off
      "
    `)
  })

  it('prints the same for programs', async () => {
    await up()
    expect(await json('capacity')).toEqual({
      pair: 'vol-0',
      request: 'capacity',
      status: 0,
      text: 'good (status 0x00)',
      sense: '',
      residual: 0,
      data: '00000000000007ff000002000003c0000000000000000000000000000000000000000000'.slice(0, 64),
      value: {
        blocks: 2048,
        blockSize: 512,
        size: 1024 * 1024,
        physicalBlockSize: 4096,
        alignedLba: 0,
        thin: true,
        zeroes: true,
        protection: 0,
      },
    })
    const { value } = await json('vpd', '83')
    expect(value).toMatchObject({
      page: 0x83,
      designators: [{ type: 3, bytes: `60014050${'11'.repeat(12)}` }, { association: 1 }, { association: 2 }],
    })
  })

  it('says in words what went wrong, and fails', async () => {
    await up()
    expect(await scsi('vpd', 'b1')).toEqual({
      code: 1,
      out: '',
      err: 'blockbraid: vpd 0xb1: illegal request (05/24/00): invalid field in command\n',
    })
    expect((await scsi('raw', '2f000000000000000000')).err).toBe('blockbraid: raw: medium error (03/11/00)\n')
    const { code, out } = await scsi('vpd', 'b1', '--json')
    expect([code, JSON.parse(out)]).toEqual([
      1,
      {
        pair: 'vol-0',
        request: 'vpd 0xb1',
        status: 2,
        text: 'illegal request (05/24/00): invalid field in command',
        sense: '700005000000000a00000000240000000000',
        residual: 0,
        data: '',
      },
    ])
    expect(await scsi('raw', '1b0000000000')).toMatchObject({
      code: 1,
      err: expect.stringContaining('failed before it answered (the connection was lost); the command may have run'),
    })
  })

  it('sends any bytes', async () => {
    await up()
    expect(await lines('raw', '12', '00 00 00 24 00'.replaceAll(' ', ''), '--in', '36')).toMatchInlineSnapshot(`
      "
      000000  00 00 06 02 1f 10 00 02 45 58 41 4d 50 4c 45 20  ........EXAMPLE
      000010  44 49 53 4b 20 20 20 20 20 20 20 20 20 20 20 20  DISK
      000020  30 30 30 31                                      0001
      "
    `)
    expect(await json('raw', '3b010000000000000300', '--out', '616263')).toMatchObject({ data: '03', residual: 3 })
    expect(await lines('raw', 'a30a00000000000000000000', '--in', '0')).toBe('\nraw: done\n')
  })

  it('registers a key over every path, reserves, and gives all of it back', async () => {
    await up()
    const paths = [0, 1].map((port) => `memory:array0/port${port}/lun0`)
    expect(await lines('pr', 'keys')).toBe('\nno keys are registered (generation 0)\n')
    expect(await lines('pr', 'register', '--key', 'abc')).toBe(
      `\n${paths.map((path) => `pr register through ${path}: done\n`).join('')}`,
    )
    expect(await lines('pr', 'keys')).toBe('\n0x0000000000000abc\n0x0000000000000abc\n')
    expect(await lines('pr', 'reservation')).toBe('\nnobody holds a reservation (generation 2)\n')
    expect(await lines('pr', 'reserve', '--key', '0xABC', '--path', paths[1]!)).toBe(
      `\npr reserve through ${paths[1]}: done\n`,
    )
    expect(await lines('pr', 'reservation')).toMatchInlineSnapshot(`
      "
      key         0x0000000000000abc
      type        write-exclusive-registrants
      generation  3
      "
    `)
    expect(await lines('pr', 'capabilities')).toMatchInlineSnapshot(`
      "
      types               write-exclusive, exclusive-access,
                          write-exclusive-registrants, exclusive-access-registrants,
                          write-exclusive-all, exclusive-access-all
      all ports at once   yes
      kept without power  no
      as SPC-2 has it     no
      replaces lost ones  no
      "
    `)
    // Not through the path that comes first: only the holder's path can.
    await lines('pr', 'release', '--key', 'abc')
    expect((await json('pr', 'reservation'))['value']).toEqual({ generation: 5 })
    expect(await json('pr', 'unregister')).toMatchObject({
      pair: 'vol-0',
      request: 'pr unregister',
      paths: paths.map((path) => ({ path, status: 0 })),
    })
    expect(await lines('pr', 'keys')).toBe('\nno keys are registered (generation 7)\n')
  })

  it('tells the paths on which a change was refused', async () => {
    await up()
    const [first, second] = [0, 1].map((port) => `memory:array0/port${port}/lun0`)
    await lines('pr', 'register', '--key', '1', '--path', first!)
    expect(await scsi('pr', 'release', '--key', '1')).toEqual({
      code: 1,
      out: `pr release through ${first}: done\n`,
      err: `blockbraid: pr release through ${second}: reservation conflict (status 0x18)\n`,
    })
    expect((await scsi('pr', 'clear', '--key', '2')).err).toBe(
      'blockbraid: pr clear: reservation conflict (status 0x18)\n',
    )
    await lines('pr', 'register', '--key', '2', '--path', second!)
    await lines('pr', 'preempt', '--key', '2', '--victim', '1', '--type', 'exclusive-access', '--path', second!)
    expect((await json('pr', 'keys'))['value']).toMatchObject({ keys: ['0x0000000000000002'] })
    expect((await scsi('pr', 'status')).err).toContain('pr status: illegal request (05/24/00)')
  })

  it('goes through the path that is named', async () => {
    await up()
    expect(await lines('luns', '--path', 'memory:array0/port1/lun0')).toBe('\n0\n300\n')
    expect(await scsi('luns', '--path', 'memory:array0/port7/lun0')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/has no path memory:array0\/port7\/lun0\n$/),
    })
    await run(folder, 'path', 'fail', 'vol-0', 'memory:array0/port1/lun0', '--control', control)
    expect((await scsi('luns', '--path', 'memory:array0/port1/lun0')).err).toBe(
      'blockbraid: path memory:array0/port1/lun0 is disabled: taken out by hand\n',
    )
    expect(await lines('pr', 'register', '--key', '1')).toBe('\npr register through memory:array0/port0/lun0: done\n')
    await run(folder, 'path', 'fail', 'vol-0', 'memory:array0/port0/lun0', '--control', control)
    expect((await scsi('pr', 'register', '--key', '1')).err).toBe('blockbraid: no path of vol-0 is up\n')
    expect((await scsi('luns')).err).toMatch(/^blockbraid: no path to volume naa\.\w+ is up\n$/)
  })

  it('is refused by a pair whose paths take no SCSI commands, and by an agent without that pair', async () => {
    await up('memory')
    expect((await scsi('inquiry')).err).toMatch(
      /^blockbraid: no path to volume naa\.\w+ that is up takes SCSI commands\n$/,
    )
    const other = await run(folder, 'scsi', 'vol-7', 'pr', 'register', '--key', '1', '--control', control)
    expect(other.err).toBe('blockbraid: there is no pair vol-7; up are vol-0\n')
  })

  it.each([
    [['nope'], '"nope" is no SCSI request: it must be one of inquiry, vpd, luns, rtpg, capacity, pr, raw'],
    [['constructor'], '"constructor" is no SCSI request'],
    [['inquiry', 'now'], 'inquiry has no further words: "now" is too much'],
    [['vpd', '123'], '"123" is no page: it must be two hex digits such as 0x83'],
    [['vpd', '83', '80'], 'vpd PAGE has no further words: "80" is too much'],
    [['pr', 'nope'], 'pr: "nope" is nothing to do with reservations: it must be one of keys, reservation, '],
    [['pr'], 'pr: "" is nothing to do with reservations'],
    [['pr', 'reserve'], 'pr reserve needs --key KEY, up to 16 hex digits'],
    [['pr', 'preempt', '--key', '1'], 'pr preempt needs --victim KEY, up to 16 hex digits'],
    [['pr', 'reserve', '--key', 'xyz'], '--key is "xyz": it must be up to 16 hex digits'],
    [['pr', 'reserve', '--key', '1', '--type', 'shared'], '--type is "shared": it must be one of write-exclusive, '],
    [['pr', 'clear', '--key', '1', '--type', 'write-exclusive'], 'pr clear takes no --type'],
    [['pr', 'unregister', '--key', '1'], 'pr unregister takes no --key'],
    [['pr', 'keys', 'all'], 'pr keys has no further words: "all" is too much'],
    [['raw', 'xyz'], 'CDB is "xyz"; it must be hex digits, two for each byte'],
    [['raw'], 'raw needs a CDB, in hex digits'],
    [['raw', '00', '--in', 'x'], 'in is "x"; it must be a number of bytes, at most 16777216'],
    [['raw', '00', '--in', '16777217'], 'in is "16777217"; it must be a number of bytes'],
    [['raw', '00', '--out', '0'], '--out is "0"; it must be hex digits'],
    [['raw', '00', '--in', '1', '--out', '00'], '--in and --out: a command has one of them'],
    [['inquiry', '--key', '1'], 'inquiry takes no --key'],
    [['luns', '--out', '00'], 'luns takes no --out'],
    [['pr', 'keys', '--victim', '1'], 'pr keys takes no --victim'],
  ])('%j is wrong usage', async (words, message) => {
    const { code, out, err } = await scsi(...words)
    expect(err).toContain(`blockbraid: ${message}`)
    expect([code, out]).toEqual([2, ''])
  })

  it('is an operation of the control socket', async () => {
    await up()
    const ask = (more: Record<string, string>) =>
      callControl(control, { op: 'scsi', pair: 'vol-0', cdb: 'a000000000000000001000000000'.slice(0, 24), ...more })
    expect(await ask({ in: '12' })).toEqual({
      status: 0,
      sense: '',
      data: '000000100000000000000000',
      residual: 0,
    })
    await expect(ask({ in: '12', out: '00' })).rejects.toThrow('in and out: a command has one of them only')
    await expect(ask({ in: '1e3' })).rejects.toThrow('in is "1e3"; it must be a number of bytes, at most 16777216')
    await expect(ask({ cdb: 'a0' })).rejects.toThrow('cdb has 1 bytes; a command descriptor block has 6 to 260')
    await expect(ask({ out: `${'z'.repeat(50)}` })).rejects.toThrow(`out is "${'z'.repeat(37)}..."; it must be hex`)
  })
})

describe('words for an answer', () => {
  const sense = (key: number, asc = 0, ascq = 0) =>
    Uint8Array.of(0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0)
  const atBlock = Uint8Array.of(0xf0, 0, 3, 0, 0, 1, 0, 10, 0, 0, 0, 0, 0x11, 0, 0, 0, 0, 0)

  it.each([
    [0x00, new Uint8Array(0), 'good (status 0x00)', true],
    [0x08, new Uint8Array(0), 'busy (status 0x08)', false],
    [0x18, new Uint8Array(0), 'reservation conflict (status 0x18)', false],
    [0x77, new Uint8Array(0), 'unknown status (status 0x77)', false],
    [0x02, new Uint8Array(0), 'check condition without sense data', false],
    [0x02, sense(1), 'recovered error (01/00/00): succeeded with recovery', true],
    [0x02, sense(2, 4, 0x0b), 'not ready (02/04/0b): target port in standby', false],
    [0x02, atBlock, 'medium error (03/11/00), at 256', false],
  ])('status %i with %j is "%s"', (status, bytes, words, good) => {
    const answer = { status, sense: bytes, data: new Uint8Array(0), residual: 0 }
    expect([describeAnswer(answer), succeeded(answer)]).toEqual([words, good])
  })
})
