import type { AttachOptions, BlockDevice, DetachOptions, Host, KernelNode } from '@blockbraid/core'
import { BlockError, throwIfAborted } from '@blockbraid/core'
import { InputPool, InputWindow, OutboxPool, Wakeful } from '@blockbraid/wire'
import type { NbdAttachment, NbdTransport } from '../attachment.ts'
import { QUICK_CLIENT } from '../transmission/context.ts'
import { RequestPool } from '../transmission/request.ts'
import type { NodeMaker } from './attach.ts'
import { serveNode } from './attach.ts'
import { NodeAttachment } from './attachment.ts'
import { backendOf } from './identity.ts'
import type { NbdKernel } from './nbd-kernel.ts'
import { dropNode, listNodes } from './nodes.ts'
import type { KernelSettings } from './options.ts'

const SPARE_REQUESTS = 4096
const SPARE_OUTPUTS = 16
const SPARE_INPUTS = 16

/** The transport whose attachments are kernel nodes. */
export class KernelTransport implements NbdTransport {
  readonly name = 'nbd'
  readonly #maker: NodeMaker
  readonly #names = new Set<string>()
  readonly #attachments = new Map<string, NodeAttachment>()
  #closed = false
  /**
   * Attaching one node after another: it blocks threads of the pool on I/O of the node, and the device may
   * need one to answer.
   */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(settings: KernelSettings, kernel: NbdKernel, host: Host) {
    const inputs = new InputPool(SPARE_INPUTS)
    const context = {
      host,
      requests: new RequestPool(SPARE_REQUESTS),
      inputs,
      window: new InputWindow(inputs),
      outputs: new OutboxPool(SPARE_OUTPUTS),
      wakeful: new Wakeful(host.clock, QUICK_CLIENT),
      // The kernel has 128 requests a connection; one that is not read would not tell that it is dead.
      maxRequests: Number.POSITIVE_INFINITY,
      maxInflightBytes: Number.POSITIVE_INFINITY,
    }
    this.#maker = { kernel, host, settings, context }
  }

  async attach(device: BlockDevice, options: AttachOptions): Promise<NbdAttachment> {
    const { name, volume = '', product, serial } = options
    const identity = { name, volume, product, serial }
    backendOf(identity)
    if (this.#names.has(identity.name)) throw new BlockError('IN_USE', `a node named ${identity.name} exists`)
    this.#names.add(identity.name)
    const attached = this.#turn.then(async () => {
      throwIfAborted(options.signal)
      if (this.#closed) throw new BlockError('CLOSED', 'the nbd transport is closed')
      await this.#maker.kernel.ready()
      const served = await serveNode(this.#maker, device, identity, options)
      const attachment = new NodeAttachment(served, this.#maker.kernel, this.#maker.host, () => {
        this.#names.delete(identity.name)
        this.#attachments.delete(attachment.node)
      })
      this.#attachments.set(attachment.node, attachment)
      return attachment
    })
    this.#turn = attached.catch(() => this.#names.delete(identity.name))
    return attached
  }

  async nodes(): Promise<readonly KernelNode[]> {
    return listNodes(this.#maker.kernel)
  }

  async removeNode(node: string, options: DetachOptions = {}): Promise<void> {
    const attachment = this.#attachments.get(node)
    if (attachment === undefined) await dropNode(this.#maker.kernel, this.#maker.host, node, options)
    else if (options.mode === 'force') await attachment.detach(options)
    else throw new BlockError('IN_USE', `this process serves ${node}`)
  }

  async close(options: DetachOptions = {}): Promise<void> {
    this.#closed = true
    await this.#turn
    const ends = await Promise.allSettled(Array.from(this.#attachments.values(), (one) => one.detach(options)))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }
}
