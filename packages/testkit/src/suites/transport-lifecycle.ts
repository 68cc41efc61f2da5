import { pattern } from '../data/pattern.ts'
import { hanging } from '../doubles/hanging.ts'
import type { SuiteCase } from '../harness/runner.ts'
import { awaiting, check, read, rejectedWith, sameBytes, turns } from '../harness/scope.ts'
import type { TransportCapabilities, TransportScope } from './transport-scope.ts'

type TransportCase = SuiteCase<TransportCapabilities, TransportScope>

/** Waits, turn by turn of real time, for what comes through sockets; the limit of the case ends it. */
async function until(t: TransportScope, what: string, condition: () => boolean): Promise<void> {
  t.waiting = what
  while (!condition() && !t.ended) await turns(1)
}

type Outcome = 'pending' | 'fulfilled' | 'rejected'

/** Tells how a promise has settled, without waiting for it. */
function watch(work: Promise<unknown>): () => Outcome {
  let outcome: Outcome = 'pending'
  work.then(
    () => {
      outcome = 'fulfilled'
    },
    () => {
      outcome = 'rejected'
    },
  )
  return () => outcome
}

/** Cases about attachments side by side, and how they end. */
export const transportLifecycleCases: readonly TransportCase[] = [
  {
    title: 'attach: two attachments side by side each lead to their own device',
    async run(t) {
      const transport = await t.open()
      const [one, two] = [t.device(), t.device(64)]
      const first = await t.attach(transport, one.device, 'one')
      const second = await t.attach(transport, two.device, 'two')
      check(first.node !== second.node, `both have the node ${first.node}`)
      const [a, b] = [await t.connect(first), await t.connect(second)]
      check(b.size === two.device.limits.size, `the second client sees ${b.size} bytes`)
      const data = (seed: number) => pattern(one.device.limits.blockSize, { seed, offset: 0, generation: 1 })
      await awaiting(t, 'writes to both', Promise.all([a.write(0, data(31)), b.write(0, data(32))]))
      sameBytes(one.storage.current.subarray(0, data(31).length), data(31), 'the first device')
      sameBytes(two.storage.current.subarray(0, data(32).length), data(32), 'the second device')
    },
  },
  {
    title: 'attach: a name that is taken is refused with IN_USE, and is free again after detach',
    async run(t) {
      const transport = await t.open()
      const { device } = t.device()
      const first = await t.attach(transport, device, 'disk')
      const again = () => transport.attach(device, { name: 'disk' })
      await rejectedWith(t, 'a second attach of the same name', again, ['IN_USE'])
      await awaiting(t, 'detach', first.detach())
      const client = await t.connect(await t.attach(transport, device, 'disk'))
      await awaiting(t, 'a read', client.read(0, device.limits.blockSize))
    },
  },
  {
    title: 'resize: clients that connect afterwards see the new size, and reach its end',
    when: (has) => has.resize,
    async run(t) {
      const { device, storage } = t.device()
      const attachment = await t.attach(await t.open(), device, 'disk')
      const before = await t.connect(attachment)
      const { size, blockSize } = device.limits
      const wanted = size + 16 * blockSize
      storage.current = Buffer.concat([storage.current], wanted)
      storage.durable = Buffer.concat([storage.durable], wanted)
      storage.limits = { ...storage.limits, size: wanted }
      await awaiting(t, 'resize', attachment.resize(wanted))
      const client = await t.connect(attachment)
      check(client.size === wanted, `a new client sees ${client.size} bytes instead of ${wanted}`)
      const data = pattern(blockSize, { seed: 33, offset: size, generation: 1 })
      await awaiting(t, 'a write past the old end', client.write(size, data))
      sameBytes(await awaiting(t, 'a read of it', client.read(size, blockSize)), data, 'past the old end')
      await awaiting(t, 'a read by the old client', before.read(0, blockSize))
    },
  },
  {
    title: 'detach: it waits for Ios in flight, and leaves the device open',
    async run(t) {
      const { device } = t.device()
      const slow = hanging(device)
      const attachment = await t.attach(await t.open(), slow, 'disk')
      const client = await t.connect(attachment)
      const { blockSize } = device.limits
      const data = pattern(blockSize, { seed: 34, offset: 0, generation: 1 })
      slow.hang()
      const writing = watch(client.write(0, data))
      await until(t, 'the write to reach the device', () => slow.held > 0)
      const detaching = watch(attachment.detach())
      await turns(20)
      check(detaching() === 'pending', 'detach settled while an Io was in flight')
      slow.release()
      await until(t, 'detach', () => detaching() !== 'pending')
      check(detaching() === 'fulfilled', 'detach failed')
      await until(t, 'the client to learn how its write ended', () => writing() !== 'pending')
      check(writing() === 'fulfilled', 'the write in flight was lost on detach')
      sameBytes(await read(t, device, 0, blockSize), data, 'the device')
    },
  },
  {
    title: 'detach: calling it again gives the same end',
    async run(t) {
      const { device } = t.device()
      const attachment = await t.attach(await t.open(), device, 'disk')
      await awaiting(t, 'detach, twice', Promise.all([attachment.detach(), attachment.detach()]))
      await awaiting(t, 'detach, a third time', attachment.detach())
      await read(t, device, 0, device.limits.blockSize)
    },
  },
  {
    title: 'rule 12: detach does not wait for Ios in flight when its signal fires',
    async run(t) {
      const { device } = t.device()
      const slow = hanging(device)
      const attachment = await t.attach(await t.open(), slow, 'disk')
      const client = await t.connect(attachment)
      slow.hang()
      const reading = watch(client.read(0, device.limits.blockSize))
      await until(t, 'the read to reach the device', () => slow.held > 0)
      const abort = new AbortController()
      const detaching = watch(attachment.detach({ signal: abort.signal }))
      abort.abort()
      await until(t, 'detach after its signal fired', () => detaching() !== 'pending')
      await until(t, 'the client to learn of the end', () => reading() !== 'pending')
      check(reading() === 'rejected', 'a read succeeded that the device has not done')
      slow.release()
      await turns()
    },
  },
  {
    title: 'rule 12: attach with a signal that has fired ends with ABORTED',
    async run(t) {
      const transport = await t.open()
      const { device } = t.device()
      const attach = () => transport.attach(device, { name: 'disk', signal: AbortSignal.abort() })
      await rejectedWith(t, 'attach with a fired signal', attach, ['ABORTED'])
    },
  },
  {
    title: 'clients: one that goes away with requests in flight harms no other one',
    async run(t) {
      const { device } = t.device()
      const slow = hanging(device)
      const attachment = await t.attach(await t.open(), slow, 'disk')
      const { blockSize } = device.limits
      const [leaving, staying] = [await t.connect(attachment), await t.connect(attachment)]
      slow.hang()
      for (let i = 0; i < 8; i++) watch(leaving.read(i * blockSize, blockSize))
      await until(t, 'requests to reach the device', () => slow.held >= 8)
      await awaiting(t, 'close of a client', leaving.close())
      const data = pattern(blockSize, { seed: 35, offset: 0, generation: 1 })
      const writing = watch(staying.write(0, data))
      await until(t, 'the write to reach the device', () => slow.held >= 9)
      slow.release()
      await until(t, 'the write to end', () => writing() !== 'pending')
      check(writing() === 'fulfilled', 'the write of the other client failed')
      const found = await awaiting(t, 'a read', staying.read(0, blockSize))
      sameBytes(found, data, 'what the other client reads')
    },
  },
  {
    title: 'close: it ends every attachment, may be called again, and leaves devices open',
    async run(t) {
      const transport = await t.open()
      const { device } = t.device()
      const attachment = await t.attach(transport, device, 'disk')
      const client = await t.connect(attachment)
      await awaiting(t, 'close, twice', Promise.all([transport.close(), transport.close()]))
      const reading = watch(client.read(0, device.limits.blockSize))
      await until(t, 'a read after close to end', () => reading() !== 'pending')
      check(reading() === 'rejected', 'a client still reads after close')
      await awaiting(t, 'detach after close', attachment.detach())
      await read(t, device, 0, device.limits.blockSize)
      await rejectedWith(t, 'attach after close', () => transport.attach(device, { name: 'next' }), ['CLOSED'])
    },
  },
]
