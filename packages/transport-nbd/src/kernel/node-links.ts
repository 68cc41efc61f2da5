import type { BlockDevice, SignalOptions } from '@blockbraid/core'
import type { NbdExportStats } from '../export.ts'
import { Barrier } from './barrier.ts'
import type { LinkContext } from './link.ts'
import { KernelLink } from './link.ts'
import type { NbdKernel } from './nbd-kernel.ts'

/** The device behind a node and what its connections are made of. */
export interface LinkSource {
  readonly kernel: Pick<NbdKernel, 'socketPair'>
  readonly context: LinkContext
  readonly device: BlockDevice
  readonly name: string
}

/** A connection that the kernel has not taken yet, and its end of it, which is ours to close. */
export interface OfferedLink {
  readonly link: KernelLink
  readonly socket: number
}

/** The connections of one node, those that died and still have something in flight included. */
export class NodeLinks {
  readonly #source: LinkSource
  readonly #barrier: Barrier
  readonly #open = new Set<KernelLink>()
  readonly #taken = new Set<KernelLink>()
  readonly #settling = new Set<KernelLink>()
  #before: NbdExportStats
  #onDead: ((link: KernelLink) => void) | undefined
  /** Those that died before anybody watched. */
  #unheard: KernelLink[] = []

  /** `several`: whether the node has more than one connection. */
  constructor(source: LinkSource, several: boolean) {
    this.#source = source
    this.#barrier = new Barrier(several)
    this.#before = noStats(source.name)
  }

  /** Makes a connection to offer to the kernel. */
  add(): OfferedLink {
    const { kernel, context, device, name } = this.#source
    const [ours, socket] = kernel.socketPair()
    const link = new KernelLink(context, ours, this.#barrier.gate(device), name, (closed) => this.#closed(closed))
    this.#open.add(link)
    return { link, socket }
  }

  /** The kernel has taken it. */
  confirm(link: KernelLink): void {
    this.#taken.add(link)
    if (link.closed) this.#dead(link)
  }

  /** Tells of each connection that the kernel had taken and that is closed; soon of those before. */
  watch(onDead: (link: KernelLink) => void): void {
    this.#onDead = onDead
    setImmediate(() => {
      for (const link of this.#unheard.splice(0)) onDead(link)
    })
  }

  /** Closes all of them at once. */
  destroy(): void {
    for (const link of this.#open) link.destroy()
  }

  /** Takes no more requests; each closes when it has answered those in flight. */
  finish(): void {
    for (const link of this.#open) link.finish()
  }

  /** Settles when all are closed and nothing is in flight; at once when the signal fires. New requests get errors. */
  async drained(options?: SignalOptions): Promise<void> {
    await Promise.all([...this.#open, ...this.#settling].map((link) => link.drained(options)))
  }

  /** Counters of all that there ever were. */
  stats(): NbdExportStats {
    let sum = this.#before
    for (const link of [...this.#open, ...this.#settling]) sum = added(sum, link.stats())
    return sum
  }

  #closed(link: KernelLink): void {
    this.#open.delete(link)
    this.#settling.add(link)
    const settled = link.drained()
    this.#barrier.holdUntil(settled)
    void settled.then(() => {
      this.#settling.delete(link)
      this.#before = added(this.#before, link.stats())
    })
    if (this.#taken.has(link)) this.#dead(link)
  }

  #dead(link: KernelLink): void {
    this.#taken.delete(link)
    if (this.#onDead === undefined) this.#unheard.push(link)
    else this.#onDead(link)
  }
}

function noStats(name: string): NbdExportStats {
  return { name, connections: 0, inflight: 0, requests: 0, errors: 0, readBytes: 0, writtenBytes: 0 }
}

function added(a: NbdExportStats, b: NbdExportStats): NbdExportStats {
  return {
    name: a.name,
    connections: a.connections + b.connections,
    inflight: a.inflight + b.inflight,
    requests: a.requests + b.requests,
    errors: a.errors + b.errors,
    readBytes: a.readBytes + b.readBytes,
    writtenBytes: a.writtenBytes + b.writtenBytes,
  }
}
