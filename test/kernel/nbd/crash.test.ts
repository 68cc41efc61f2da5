import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { it } from 'node:test'
import { until, within } from '../guest/wait.ts'
import type { DirectFile } from './bed.ts'
import { attach, connectedNodes, MIB, makeFile, openDirect, pattern } from './bed.ts'
import type { Server } from './serve.ts'
import { serve } from './serve.ts'

/** What the load has done and when it ends. */
interface Progress {
  rounds: number
  stop: boolean
}

/** Writes and reads back until told to stop; each lane has its own part of the node. */
async function load(node: string, lane: number, progress: Progress): Promise<void> {
  await using file = await openDirect(node)
  const blocks = 64
  const versions = new Array<number>(blocks).fill(0)
  for (let round = 0; !progress.stop; round++, progress.rounds++) {
    const block = (round * 7) % blocks
    const at = lane * MIB + block * 4096
    versions[block] = round + 1
    await file.write(at, content(lane, block, round + 1))
    const before = (round * 11) % blocks
    await verify(file, lane, before, versions[before]!)
  }
  for (let block = 0; block < blocks; block++) await verify(file, lane, block, versions[block]!)
}

const content = (lane: number, block: number, version: number): Buffer =>
  version === 0 ? Buffer.alloc(4096) : pattern(`${lane}/${block}/${version}`, 4096)

async function verify(file: DirectFile, lane: number, block: number, version: number): Promise<void> {
  const found = await file.read(lane * MIB + block * 4096, 4096)
  assert.deepEqual(found, content(lane, block, version), `lane ${lane} block ${block}`)
}

for (const connections of [1, 2]) {
  it(`is taken over under load after SIGKILL, ${connections} connection${connections > 1 ? 's' : ''}`, async (t) => {
    const file = makeFile(t)
    const options = connections === 1 ? { resendInterval: 1000 } : { connections, requestTimeout: 3000 }
    let server: Server = await serve(t, { file, options })
    const { node } = server
    const progress: Progress = { rounds: 0, stop: false }
    const lanes = Promise.all(Array.from({ length: 3 }, (_, lane) => load(node, lane, progress)))
    lanes.catch(() => {})
    const goesOn = async (): Promise<void> => {
      const before = progress.rounds
      await Promise.race([lanes, until('the load goes on', () => progress.rounds > before + 6)])
    }
    for (let kills = 0; kills < 4; kills++) {
      await goesOn()
      await server.kill()
      server = await serve(t, { file, options })
      assert.equal(server.error, undefined)
      assert.equal(server.node, node)
      assert.equal(server.tookOver, true)
    }
    await goesOn()
    progress.stop = true
    await within('the load', lanes)
    assert.deepEqual(await server.tell('clean'), { detached: 'clean' })
    assert.deepEqual(connectedNodes(), [])
  })
}

it('ends I/O with EIO and the node itself where nobody takes it over in time', async (t) => {
  const server = await serve(t, { file: makeFile(t), options: { takeOverTimeout: 2000 } })
  await using file = await openDirect(server.node)
  await server.tell('hold')
  const inFlight = file.write(0, pattern('in flight', 4096))
  const waiting = `/sys/block/${server.node.slice('/dev/'.length)}/inflight`
  await until('the write is in flight', () => /[1-9]/.test(readFileSync(waiting, 'utf8')))
  await server.kill()
  await within('EIO', assert.rejects(inFlight, { code: 'EIO' }))
  await file[Symbol.asyncDispose]()
  await until('node gone', () => connectedNodes().length === 0)
})

it('is not removed by the guard of a process that died before the last', async (t) => {
  const file = makeFile(t)
  const first = await serve(t, { file, options: { takeOverTimeout: 20_000 } })
  const [guard] = readFileSync(`/proc/${first.child.pid}/task/${first.child.pid}/children`, 'utf8').split(' ')
  assert.match(readFileSync(`/proc/${guard}/cmdline`, 'utf8'), /guard\.js/)
  await first.kill()
  const second = await serve(t, { file })
  assert.equal(second.tookOver, true)
  await second.kill()
  await until('guard of the first at its end', () => !existsSync(`/proc/${guard}`))
  assert.deepEqual(connectedNodes(), [second.node.slice('/dev/'.length)])
})

it('refuses to take over with blocks of another size', async (t) => {
  const file = makeFile(t)
  const server = await serve(t, { file })
  await server.kill()
  const { error } = await serve(t, { file, limits: { blockSize: 4096 } })
  assert.equal(error?.code, 'MISMATCH')
})

it('takes the new size of a volume that grew while nobody served it', async (t) => {
  const file = makeFile(t)
  const server = await serve(t, { file, limits: { size: 32 * MIB } })
  await server.kill()
  const { attachment } = await attach(t, { file })
  assert.equal(attachment.tookOver, true)
  await using direct = await openDirect(attachment.node)
  assert.equal((await direct.read(63 * MIB, 4096)).length, 4096)
})

for (const connections of [1, 2]) {
  it(`replaces a connection with a late request; it is done once more only after the first, ${connections}`, async (t) => {
    const { attachment, device } = await attach(t, { connections, requestTimeout: 1000 })
    const lost: Error[] = []
    attachment.events.on('lost', (error) => lost.push(error))
    await using file = await openDirect(attachment.node)
    await file.write(0, pattern('before', 4096))
    device.log.length = 0
    device.hold = true
    const written = file.write(0, pattern('after', 4096))
    await until('first', () => device.held.length === 1)
    const stats = () => (attachment as unknown as { stats(): { connections: number; inflight: number } }).stats()
    await until('resent', () => stats().inflight > 1 || stats().connections !== connections)
    await until('replaced', () => stats().connections === connections)
    await new Promise((resolve) => setTimeout(resolve, 2500))
    assert.deepEqual(device.log, ['write 0 4096'])
    device.release()
    await within('write', written)
    assert.deepEqual([...new Set(device.log)], ['write 0 4096'])
    assert.ok(device.log.length > 1, 'it was done again')
    assert.deepEqual(await file.read(0, 4096), pattern('after', 4096))
    assert.deepEqual(lost, [])
  })
}
