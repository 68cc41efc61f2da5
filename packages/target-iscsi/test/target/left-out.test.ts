import type { IscsiArray } from '@blockbraid/array-iscsi'
import { createIscsiArray } from '@blockbraid/array-iscsi'
import type { BlockDevice, VolumeId } from '@blockbraid/core'
import { IoOp, OK } from '@blockbraid/core'
import { describe, expect, test } from 'vitest'
import type { IscsiOptions } from '../../src/index.ts'
import { iscsi } from '../../src/index.ts'
import type { BedOptions } from './bed.ts'
import { afterwards, BLOCK, bed, run } from './bed.ts'
import { look, tell } from './look.ts'

const memory = {
  volumes: [
    { size: '1MiB', blockSize: BLOCK },
    { size: '1MiB', blockSize: BLOCK },
  ],
} as const
const REPORT_LUNS = 0xa0
const INQUIRY = 0x12
const NO_SUCH_UNIT = 0x05_2500
const VOLUME: VolumeId = 'naa.6001405000000000000000000000abcd'

const made = (options: BedOptions = {}) => bed({ memory: { volumes: [...memory.volumes] }, ...options })

describe('what the options name and nobody has is said, with what was probably meant', () => {
  test.each<[string, string, string]>([
    ['mistyped', 'iqn.2026-11.io.blockbraid:arrray', 'is told of by no portal: did you mean NAME?'],
    ['in other letters', 'iqn.2026-11.io.blockbraid:Array', 'is told of by no portal: did you mean NAME?'],
    ['another one', 'iqn.2026-11.io.example:x', 'is told of by no portal: they tell of NAME'],
  ])('target, %s', async (_what, name, text) => {
    const { array, host } = await made()
    const { seen, notes } = await look(host({ target: name }))
    expect(seen).toEqual([])
    expect(notes).toEqual([{ place: name, text: text.replace('NAME', array.name), missing: true }])
  })

  test('luns: those that are not mapped, and where', async () => {
    const { array, host, volumes, devices } = await made({ mapped: [0], array: { portals: [{}, {}] } })
    await array.map({ lun: 1, volume: volumes[1]!, device: devices[1]!, portals: [0] })
    const { seen, notes } = await look(host({ luns: [1, 7] }))
    expect(seen).toEqual([`${array.portals[0]!.address} 1`])
    const text = 'is not mapped to this initiator'
    expect(notes).toEqual([
      { place: `${array.name}, LUN 1 at ${array.portals[1]!.address}`, text, missing: true },
      { place: `${array.name}, LUN 7`, text, missing: true },
    ])
  })
})

describe('a disk that cannot be used is said, and the others are used', () => {
  const odd = (limits: object) => (device: BlockDevice, number: number) => ({
    limits: number === 1 ? { ...device.limits, ...limits } : device.limits,
    submit: device.submit.bind(device),
    close: device.close.bind(device),
  })

  test('blocks of 520 bytes, behind two portals: one note', async () => {
    const { array, target } = await made({
      memory: { volumes: [{ size: '1MiB', blockSize: BLOCK }, { size: '2MiB' }] },
      wrap: odd({ blockSize: 520, size: 520 * 100 }),
      array: { portals: [{}, {}] },
    })
    const { seen, notes } = await look(target)
    expect(seen).toHaveLength(2)
    const [one, other] = array.portals.map(({ address }) => address)
    expect(notes).toEqual([
      {
        place: `${array.name}, LUN 1 at ${one}, ${other}`,
        text: expect.stringMatching(/^cannot be used: block size 520/),
        missing: false,
      },
    ])
  })

  test('no identity', async () => {
    const { devices } = await made()
    const luns = [
      { volume: VOLUME, device: devices[0]! },
      {
        volume: 'naa.6001405000000000000000000000abce',
        device: devices[1]!,
        designators: Buffer.alloc(0),
        serial: ' ',
      },
    ] as const
    const array = await createIscsiArray({ name: 'iqn.2026-11.io.blockbraid:plain', luns })
    afterwards(() => array.close())
    const target = iscsi({ portals: [array.portals[0]!.address] })
    afterwards(() => target.close())
    const { seen, notes } = await look(target)
    expect(seen).toHaveLength(1)
    expect(notes).toMatchObject([{ text: expect.stringContaining('has no identity'), missing: false }])
    expect(notes[0]!.place).toContain(`${array.name}, LUN 1`)
  })

  test('one that fails', async () => {
    const { array, target } = await made()
    array.faults.command({ opcode: INQUIRY, lun: 1, status: 2, sense: 0x04_4400 })
    const { seen, notes } = await look(target)
    expect(seen).toHaveLength(1)
    expect(notes).toMatchObject([{ text: expect.stringMatching(/^cannot be looked at: INQUIRY: /), missing: true }])
  })

  test('nothing is said of numbers that lead to no disk', async () => {
    const { array, target } = await made()
    array.faults.phantomLuns = 40
    expect(await look(target)).toMatchObject({ seen: [expect.any(String), expect.any(String)], notes: [] })
  })
})

test('a target that wants CHAP, beside one that does not', async () => {
  const { array, devices } = await bed()
  const closed = await createIscsiArray({
    name: 'iqn.2026-11.io.blockbraid:closed',
    chap: { user: 'alice', secret: 'a secret of alice' },
    discoveryChap: false,
    luns: [{ volume: VOLUME, device: devices[0]! }],
  })
  afterwards(() => closed.close())
  const target = iscsi({ portals: [array, closed].map(({ portals: [portal] }) => portal!.address) })
  afterwards(() => target.close())
  const { seen, notes } = await look(target)
  expect(seen).toHaveLength(1)
  const place = `${closed.name} at ${closed.portals[0]!.address}`
  expect(notes).toEqual([{ place, text: expect.stringContaining('asks for one that was not offered'), missing: true }])
})

describe('one odd entry of SendTargets costs that entry alone', () => {
  test.each<[string, string, string]>([
    ['a name with a blank', 'TargetName=Target 911data\0TargetAddress=192.0.2.1,1\0', 'a bad target name'],
    ['a name that turns the direction', 'TargetName=iqn.a\u202eb\0', 'a bad target name'],
    ['no pair', 'TargetName\0', 'text entry without "="'],
    ['an address of no target', 'TargetAddress=192.0.2.1,1\0', 'an address before a target name'],
  ])('%s', async (_what, entry, what) => {
    const { array, target } = await made()
    tell(array, (text) => entry + text)
    const { seen, notes } = await look(target)
    expect(seen).toHaveLength(2)
    expect(notes).toEqual([
      {
        place: array.portals[0]!.address,
        text: expect.stringMatching(`^tells what cannot be used, and is left out: ${what}`),
        missing: false,
      },
    ])
  })

  test('an address that is none', async () => {
    const { array, target } = await made()
    tell(array, (text) => `${text}TargetAddress=1:2:3\0`)
    const { seen, notes } = await look(target)
    expect(seen).toHaveLength(2)
    expect(notes[0]!.text).toContain('a bad target address "1:2:3"')
  })

  test('a name that is not by the book is a name', async () => {
    const { array, target } = await made()
    tell(array, (text) => `TargetName=Target-911data\0TargetAddress=${array.portals[0]!.address},1\0${text}`)
    const { seen, notes } = await look(target)
    expect(seen).toHaveLength(2)
    // The simulated array has none of that name: it was asked for it.
    expect(notes).toMatchObject([{ place: `Target-911data at ${array.portals[0]!.address}`, missing: true }])
  })
})

describe('REPORT LUNS is refused where LUN 0 is missing', () => {
  const refused = { opcode: REPORT_LUNS, status: 2, sense: NO_SUCH_UNIT } as const
  const at = async (luns: readonly number[], options: Partial<IscsiOptions> = {}, count?: number) => {
    const made = await bed({ mapped: [] })
    for (const lun of luns) await made.array.map({ lun, volume: made.volumes[0]!, device: made.devices[0]! })
    made.array.faults.command(count === undefined ? refused : { ...refused, count })
    return look(made.host(options))
  }

  test('the well-known logical unit tells', async () => {
    expect(await at([3], {}, 1)).toMatchObject({ seen: [expect.stringContaining(' 3')], notes: [] })
  })

  test('that one refuses as well: the numbers of the options are tried', async () => {
    expect(await at([3], { luns: [3] })).toMatchObject({ seen: [expect.stringContaining(' 3')], notes: [] })
  })

  test('and without those it is said what to do', async () => {
    const { seen, notes } = await at([3])
    expect(seen).toEqual([])
    expect(notes).toMatchObject([{ text: expect.stringContaining('name them by the option luns'), missing: true }])
  })
})

describe('one odd page costs what it tells, and nothing else', () => {
  const PAGES = [0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2] as const
  /** Another page comes in place of that one. */
  const exchange = (array: IscsiArray, code: number) =>
    array.faults.wire({
      pdu: 'dataIn',
      replace(pdu) {
        const isPage = pdu.length > 52 && pdu[48] === 0 && pdu[49] === code && pdu.readUInt16BE(50) <= pdu.length - 52
        if (isPage && (code !== 0 || pdu.subarray(52, 58).equals(Buffer.from(PAGES)))) pdu[49] = 0xc7
        return [pdu]
      },
    })

  test.each([0x00, 0xb0, 0xb2])('VPD page %i', async (code) => {
    const { array, target, open } = await made({ array: { collapseStatus: false } })
    exchange(array, code)
    expect(await look(target)).toMatchObject({ seen: [expect.any(String), expect.any(String)], notes: [] })
    const path = await open()
    expect(await run(path, { op: IoOp.Read, length: BLOCK })).toBe(OK)
  })
})
