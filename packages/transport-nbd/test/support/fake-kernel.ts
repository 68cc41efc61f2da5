import { Socket } from 'node:net'
import { BlockError } from '@blockbraid/core'
import { closeFd, socketPair } from '@blockbraid/linux'
import type { BackedNode, Claim, NbdKernel } from '../../src/kernel/nbd-kernel.ts'
import type { ConnectSpec, NodeChange } from '../../src/kernel/netlink.ts'
import { TransmissionFlag } from '../../src/protocol.ts'
import { Client } from './client.ts'

/** A node of a {@link FakeKernel}: its clients are the kernel's ends. */
export interface FakeNode {
  readonly spec: ConnectSpec
  readonly backend: string
  readonly clients: Client[]
  readonly attributes: Map<string, string>
  users: string[]
  connected: boolean
}

/** Behaves as the nbd driver does towards a transport; the I/O is up to the test. */
export class FakeKernel implements NbdKernel {
  readonly made = new Map<number, FakeNode>()
  /** Every call that changes something. */
  readonly log: string[] = []
  readonly guarded: string[] = []
  notReady: BlockError | undefined
  failConnect: BlockError | undefined
  /** How many sockets it has no use for, as it has not yet seen that others are dead. */
  blind = 0
  claimed: Promise<Claim> = Promise.resolve({ close: async () => {} })
  readonly #kept = new Set<number>()

  async ready(): Promise<void> {
    if (this.notReady !== undefined) throw this.notReady
  }

  async connect(spec: ConnectSpec): Promise<number> {
    if (this.failConnect !== undefined) throw this.failConnect
    let index = 0
    while (this.made.get(index)?.connected) index++
    this.log.push(`connect ${index}`)
    const attributes = new Map([
      ['size', String(spec.size / 512)],
      ['queue/logical_block_size', String(spec.blockSize)],
      ['queue/write_cache', spec.flags & TransmissionFlag.SendFlush ? 'write back' : 'write through'],
      ['queue/io_timeout', '30000'],
      ['queue/max_sectors_kb', '1280'],
      ['queue/discard_max_bytes', spec.flags & TransmissionFlag.SendTrim ? '4294966784' : '0'],
      ['ro', spec.flags & TransmissionFlag.ReadOnly ? '1' : '0'],
    ])
    const clients = spec.sockets.map((fd) => this.#take(fd))
    this.made.set(index, { spec, backend: spec.backend, clients, attributes, users: [], connected: true })
    return index
  }

  async reconfigure(index: number, backend: string, { size, socket }: NodeChange): Promise<boolean> {
    const node = this.made.get(index)
    if (node === undefined || !node.connected || node.backend !== backend) return false
    this.log.push(`reconfigure ${index}${size === undefined ? '' : ` size ${size}`}`)
    if (size !== undefined) node.attributes.set('size', String(size / 512))
    const dead = node.clients.findIndex((client) => client.socket.destroyed)
    if (socket === undefined || this.blind-- > 0) return true
    if (dead >= 0) node.clients[dead] = this.#take(socket)
    return true
  }

  async disconnect(index: number): Promise<void> {
    this.log.push(`disconnect ${index}`)
    const node = this.made.get(index)!
    node.connected = false
    for (const { socket } of node.clients) socket.destroy()
  }

  async nodes(): Promise<readonly BackedNode[]> {
    return Array.from(this.made, ([index, { backend, connected }]) => ({ index, backend, connected })).filter(
      ({ connected }) => connected,
    )
  }

  async read(index: number, attribute: string): Promise<string | undefined> {
    const node = this.made.get(index)
    if (attribute === 'backend') return node?.connected ? node.backend : undefined
    return node?.attributes.get(attribute)
  }

  async write(index: number, attribute: string, value: string): Promise<void> {
    this.log.push(`write ${index} ${attribute} ${value}`)
    this.made.get(index)!.attributes.set(attribute, value)
  }

  async setReadOnly(index: number, on: boolean): Promise<boolean> {
    const node = this.made.get(index)!
    this.log.push(`read-only ${index} ${on}`)
    if (node.spec.flags & TransmissionFlag.ReadOnly) return on
    node.attributes.set('ro', on ? '1' : '0')
    return true
  }

  async connections(index: number): Promise<number> {
    return this.made.get(index)!.clients.length
  }

  socketPair(): [number, number] {
    return socketPair()
  }

  closeFd(fd: number): void {
    if (!this.#kept.delete(fd)) closeFd(fd)
  }

  async settle(index: number): Promise<void> {
    this.log.push(`settle ${index}`)
  }

  async users(index: number): Promise<readonly string[]> {
    return this.made.get(index)!.users
  }

  claim(): Promise<Claim> {
    return this.claimed
  }

  async rescan(index: number): Promise<void> {
    this.log.push(`rescan ${index}`)
    if (this.made.get(index)!.users.length > 0) throw new BlockError('IO_FAILED', 'EBUSY')
  }

  guard(index: number, backend: string): { forget(): void } {
    const entry = `${index} ${backend}`
    this.guarded.push(entry)
    return { forget: () => void this.guarded.splice(this.guarded.indexOf(entry), 1) }
  }

  /** The kernel keeps a socket, whoever closes the descriptor. */
  #take(fd: number): Client {
    this.#kept.add(fd)
    return new Client(new Socket({ fd, readable: true, writable: true }))
  }
}
