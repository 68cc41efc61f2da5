// testkit's simulated array, before initiators that nobody here wrote: libiscsi's tools and qemu's driver.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IscsiArray, IscsiArrayOfOptions } from '@blockbraid/array-iscsi'
import { iscsiArrayOf } from '@blockbraid/array-iscsi'
import type { MemoryTarget } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { createChaosProxy } from '@blockbraid/testkit'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { run, succeed } from './support/tools.ts'

const NAME = 'iqn.2026-11.io.blockbraid:array'
const USER = { user: 'alice', secret: 'wonderland-12' }
const folder = mkdtempSync(join(tmpdir(), 'blockbraid-array-'))
const open: AsyncDisposable[] = []

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]()
})
afterAll(() => rmSync(folder, { recursive: true }))

interface Bed {
  readonly array: IscsiArray
  readonly target: MemoryTarget
  /** Of a LUN, at the first portal. */
  url(lun?: number, credentials?: string): string
}

async function bed(options: Partial<IscsiArrayOfOptions> = {}): Promise<Bed> {
  const volumes = [
    { size: '64MiB' as const, blockSize: 512 as const },
    { size: '32MiB' as const, blockSize: 4096 as const },
  ]
  const target = memory({ volumes, ports: 2 })
  const array = await iscsiArrayOf(target, { name: NAME, ...options })
  open.push(array)
  const url = (lun = 0, credentials = ''): string => `iscsi://${credentials}${array.portals[0]!.address}/${NAME}/${lun}`
  return { array, target, url }
}

describe('libiscsi', () => {
  it('discovers every portal and unit', async () => {
    const { array } = await bed()
    const listed = await succeed('iscsi-ls', ['-s', `iscsi://${array.portals[0]!.address}`])
    for (const { address, group } of array.portals)
      expect(listed).toContain(`Target:${NAME} Portal:${address},${group}`)
    expect(listed.match(/Lun:0 {4}Type:DIRECT_ACCESS \(Size:63M\)/g)).toHaveLength(2)
    expect(listed.match(/Lun:1 {4}Type:DIRECT_ACCESS \(Size:31M\)/g)).toHaveLength(2)
    expect(array.violations).toEqual([])
  })

  it('reads INQUIRY, its pages, and the capacity', async () => {
    const { array, url } = await bed()
    expect(await succeed('iscsi-inq', [url()])).toMatch(/Vendor:BLKBRAID\n.*Product:SIMULATED ARRAY/)
    const pages = await succeed('iscsi-inq', ['-e', '1', '-c', '0', url()])
    for (const page of ['80', '83', 'b0', 'b1', 'b2']) expect(pages).toContain(`Page:0x${page}`)
    const identity = await succeed('iscsi-inq', ['-e', '1', '-c', String(0x83), url()])
    expect(identity).toMatch(/Association:\(0\) LOGICAL_UNIT\nDesignator Type:\(3\) NAA/)
    expect(identity).toContain(`Designator:[${NAME},t,0x0001]`)
    expect(await succeed('iscsi-readcapacity16', [url(1)])).toContain('LOGICAL BLOCK LENGTH IN BYTES:4096')
    expect(array.violations).toEqual([])
  })

  it('logs in with CHAP, and is refused without', async () => {
    const { array, url } = await bed({ chap: USER })
    await succeed('iscsi-inq', [url(0, `${USER.user}%${USER.secret}@`)])
    expect((await run('iscsi-inq', [url(0, `${USER.user}%wrong-secret-1@`)])).code).not.toBe(0)
    expect((await run('iscsi-inq', [url()])).code).not.toBe(0)
    expect(array.counters.logins).toBe(1)
  })

  it('follows a target that has moved', async () => {
    const { array, url } = await bed()
    const [first, second] = array.portals
    array.faults.login({ action: 'refuse', status: 0x0101, address: `${second!.address},2`, portal: first!.number })
    await succeed('iscsi-inq', [url()])
    expect(array.counters).toMatchObject({ logins: 1, connections: 2 })
  })

  // Families of libiscsi's own conformance suite. Those left out are of commands that the array does not have.
  it.each([
    ['SCSI.GetLBAStatus.Simple', 10],
    ['SCSI.GetLBAStatus.BeyondEol', 1],
    ['SCSI.Inquiry', 200],
    ['SCSI.Mandatory', 5],
    ['SCSI.ModeSense6', 30],
    ['SCSI.PrinReadKeys', 5],
    ['SCSI.PrinReportCapabilities', 20],
    ['SCSI.PrinServiceactionRange', 30],
    ['SCSI.ProutRegister', 5],
    ['SCSI.ProutReserve', 150],
    ['SCSI.ProutClear', 10],
    ['SCSI.ProutPreempt', 10],
    ['SCSI.Read10', 5000],
    ['SCSI.Read16', 2000],
    ['SCSI.ReadCapacity10', 1],
    ['SCSI.ReadCapacity16', 20],
    ['SCSI.ReportSupportedOpcodes', 10],
    ['SCSI.TestUnitReady', 1],
    ['SCSI.Unmap', 900],
    ['SCSI.Write10', 5000],
    ['SCSI.Write16', 1500],
    ['SCSI.WriteSame10.Simple', 1],
    ['SCSI.WriteSame10.BeyondEol', 1],
    ['SCSI.WriteSame10.InvalidDataOutSize', 1],
    ['SCSI.WriteSame16.Simple', 1],
    ['SCSI.WriteSame16.BeyondEol', 1],
    ['SCSI.WriteSame16.UnmapUntilEnd', 1],
    ['SCSI.WriteSame16.InvalidDataOutSize', 1],
    ['iSCSI.iSCSIcmdsn', 4],
    ['iSCSI.iSCSITMF', 15],
  ])('iscsi-test-cu %s', async (family, least) => {
    const { url } = await bed()
    const printed = await succeed('iscsi-test-cu', ['-d', '-n', '-t', family, url()])
    const asserts = /asserts +\d+ +\d+ +(\d+) +(\d+)/.exec(printed)
    expect(asserts?.[2], printed).toBe('0')
    expect(Number(asserts?.[1]), printed).toBeGreaterThanOrEqual(least)
  })

  it.each(['Simple', 'Reset'])('iscsi-test-cu over two portals: %s', async (test) => {
    const { array, url } = await bed()
    const other = url().replace(array.portals[0]!.address, array.portals[1]!.address)
    const printed = await succeed('iscsi-test-cu', ['-d', '-n', '-t', `SCSI.MultipathIO.${test}`, url(), other])
    expect(/asserts +\d+ +\d+ +(\d+) +(\d+)/.exec(printed)?.[2], printed).toBe('0')
  })

  it('iscsi-perf runs, and nothing is amiss', async () => {
    const { array, url } = await bed()
    const printed = await succeed('iscsi-perf', ['-m', '32', '-b', '8', '-t', '1', '-r', url()])
    expect(printed).toContain('finished.')
    expect(array.counters.commands[0x88]).toBeGreaterThan(100)
    expect(array.violations).toEqual([])
  })
})

describe('qemu-img and qemu-io', () => {
  const image = join(folder, 'image')
  const data = randomBytes(4 * 1024 * 1024)
  writeFileSync(image, data)

  // qemu logs in by libiscsi, which offers digests, and asks for unsolicited data; each row narrows what is agreed on.
  it.each<[string, Partial<IscsiArrayOfOptions>]>([
    ['as it comes', {}],
    ['no immediate data', { immediateData: false }],
    ['R2T for everything', { immediateData: false, initialR2T: true }],
    ['short bursts and segments', { firstBurstLength: 1024, maxBurstLength: 8192, maxRecvDataSegmentLength: 1536 }],
    ['header digests', { headerDigest: ['CRC32C'] }],
    ['the status apart', { collapseStatus: false, descriptorSense: true }],
  ])('copy an image in and out: %s', async (_name, options) => {
    for (const lun of [0, 1]) {
      const { array, target, url } = await bed(options)
      await succeed('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', image, url(lun)])
      expect(data.equals(target.array.peek(lun, 0, data.length))).toBe(true)
      const copy = join(folder, `copy${lun}`)
      await succeed('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', url(lun), copy])
      expect(readFileSync(copy).subarray(0, data.length).equals(data)).toBe(true)
      expect(array.violations).toEqual([])
    }
  })

  it('write, flush, write zeroes, discard', async () => {
    const { target, url } = await bed()
    const commands = [
      'write -P 0x11 0 1M',
      'write -f -P 0x22 64k 64k',
      'write -z 512k 64k',
      'discard 768k 64k',
      'flush',
    ]
    await succeed('qemu-io', ['-f', 'raw', ...commands.flatMap((command) => ['-c', command]), url()])
    const at = (offset: number): number => target.array.peek(0, offset, 1)[0]!
    expect([0, 64 * 1024, 128 * 1024, 512 * 1024, 768 * 1024].map(at)).toEqual([0x11, 0x22, 0x11, 0, 0])
  })

  it('survive a chaos proxy that delays and slices', async () => {
    const { array, target, url } = await bed()
    const { host, port, address } = array.portals[0]!
    const proxy = await createChaosProxy({ to: { host, port } })
    open.push(proxy)
    proxy.delay(1)
    const through = url().replace(address, proxy.address)
    await succeed('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', image, through])
    expect(data.equals(target.array.peek(0, 0, data.length))).toBe(true)
    expect(array.violations).toEqual([])
  })
})
