import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { test } from 'node:test'
import {
  closeFd,
  ioctl,
  LinuxError,
  mapMemory,
  openGenericNetlink,
  parseAttributes,
  Ring,
  setIoFlusher,
  socketPair,
  u32,
} from '@blockbraid/linux'

const NBD_CMD_DISCONNECT = 2
const NBD_CMD_STATUS = 5
const NBD_ATTR_INDEX = 1
const NBD_ATTR_DEVICE_LIST = 9
const NOP = 0
const READ = 22

/** Submits, and gives the completions when there are `count`. */
async function complete({ of, results }: { of: Ring; results: number[][] }, count: number): Promise<number[][]> {
  of.submit()
  while (results.length < count) await new Promise(setImmediate)
  return results
}

function openRing(wide = false): { of: Ring; results: number[][]; wakeUps: () => number } {
  const results: number[][] = []
  let wakeUps = 0
  const of = new Ring({ entries: 64, wide }, (ring) => {
    wakeUps++
    ring.drain((userData, result) => results.push([userData, result]))
  })
  return { of, results, wakeUps: () => wakeUps }
}

function fill(ring: Ring, opcode: number, userData: number, fd = 0, address = 0, length = 0): void {
  const at = ring.next()
  ring.words[at] = opcode
  ring.words[at + 1] = fd
  ring.words[at + 2] = ring.words[at + 3] = opcode === READ ? 0xffffffff : 0
  ring.words[at + 4] = address % 2 ** 32
  ring.words[at + 5] = Math.floor(address / 2 ** 32)
  ring.words[at + 6] = length
  ring.words[at + 8] = userData
}

for (const wide of [false, true]) {
  test(`a ring completes what is submitted${wide ? ', with wide entries' : ''}`, async () => {
    const ring = openRing(wide)
    for (let i = 0; i < 64; i++) fill(ring.of, NOP, i)
    assert.equal(ring.of.next(), -1)
    const wanted = Array.from({ length: 64 }, (_, i) => [i, 0])
    assert.deepEqual(await complete(ring, 64), wanted)
    ring.of.close()
  })
}

test('a sleeping event loop wakes up, once for many completions', async () => {
  const ring = openRing()
  const memory = mapMemory(4096)
  const pairs = Array.from({ length: 32 }, () => socketPair())
  for (const [i, [a]] of pairs.entries()) fill(ring.of, READ, i, a, memory.address + i, 1)
  ring.of.submit()
  const arrived = new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (ring.results.length < 32) return
      clearInterval(timer)
      resolve()
    }, 1)
  })
  for (const [, b] of pairs) writeSync(b, 'x')
  await arrived
  assert.ok(ring.results.every(([, result]) => result === 1))
  assert.ok(new Uint8Array(memory.buffer, 0, 32).every((byte) => byte === 120))
  assert.ok(ring.wakeUps() < 5, `${ring.wakeUps()} wake-ups`)
  ring.of.close()
  memory.unmap()
  for (const fd of pairs.flat()) closeFd(fd)
})

test('rings that are closed with requests in flight leave nothing', async () => {
  const before = readdirSync('/proc/self/fd').length
  // libuv has one too.
  const mapped = (): number => readFileSync('/proc/self/maps', 'latin1').split('io_uring').length
  const mappedBefore = mapped()
  const [a, b] = socketPair()
  const memory = mapMemory(4096)
  for (let i = 0; i < 200; i++) {
    const { of } = openRing()
    fill(of, READ, i, a, memory.address, 1)
    of.submit()
    of.close()
    if (i % 20 === 0) await new Promise(setImmediate)
  }
  memory.unmap()
  closeFd(a)
  closeFd(b)
  assert.equal(readdirSync('/proc/self/fd').length, before)
  assert.equal(mapped(), mappedBefore)
})

test('where io_uring is disabled, the error says so', (t) => {
  const file = '/proc/sys/kernel/io_uring_disabled'
  if (!existsSync(file)) return t.skip('this kernel cannot disable it')
  writeFileSync(file, '2')
  try {
    assert.throws(
      () => new Ring({ entries: 1 }, () => {}),
      (error) => LinuxError.is(error) && error.code === 'EPERM' && error.message.includes(file),
    )
  } finally {
    writeFileSync(file, '0')
  }
})

test('netlink asks the nbd driver', async () => {
  const netlink = await openGenericNetlink('nbd')
  const [answer] = await netlink.request(NBD_CMD_STATUS, [])
  const list = answer?.attributes.find(({ type }) => type === NBD_ATTR_DEVICE_LIST)
  const devices = parseAttributes(list!.value).map(({ value }) => parseAttributes(value))
  const known = readdirSync('/sys/block').filter((name) => name.startsWith('nbd'))
  assert.equal(devices.length, known.length)
  await assert.rejects(netlink.request(NBD_CMD_DISCONNECT, [u32(NBD_ATTR_INDEX, 999)]), { code: 'EINVAL' })
  await assert.rejects(netlink.request(NBD_CMD_DISCONNECT, []), { code: 'EINVAL' })
  netlink.close()
  await assert.rejects(openGenericNetlink('ublk'), { code: 'ENOENT' })
})

test('ioctl gives results and fills bytes', async () => {
  const LOOP_CTL_GET_FREE = 0x4c82
  const BLKGETSIZE64 = 0x80081272
  const BLKSSZGET = 0x1268
  const control = openSync('/dev/loop-control', 'r+')
  assert.ok((await ioctl(control, LOOP_CTL_GET_FREE)) >= 0)
  closeSync(control)
  const disk = openSync('/dev/nbd0', 'r')
  const size = Buffer.alloc(8, 0xff)
  assert.equal(await ioctl(disk, BLKGETSIZE64, size), 0)
  assert.equal(size.readBigUInt64LE(), 0n)
  const blockSize = Buffer.alloc(4)
  await ioctl(disk, BLKSSZGET, blockSize)
  assert.equal(blockSize.readInt32LE(), 512)
  closeSync(disk)
})

test('PR_SET_IO_FLUSHER is set and cleared', () => {
  // Field 9 of stat: PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE.
  const flags = (): number =>
    Number(
      readFileSync('/proc/self/stat', 'utf8')
        .replace(/^.*\) /, '')
        .split(' ')[6],
    )
  const before = flags()
  setIoFlusher(true)
  assert.equal((flags() ^ before) & 0x180000, 0x180000)
  setIoFlusher(false)
  assert.equal((flags() ^ before) & 0x180000, 0)
})

test('the program is locked into memory', () => {
  const program = `
    import { lockMemory } from '@blockbraid/linux'
    import { readFileSync } from 'node:fs'
    lockMemory()
    console.log(/^VmLck:\\s+(\\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))[1])`
  const locked = execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd: import.meta.dirname })
  assert.ok(Number(locked.toString()) > 50_000)
})
