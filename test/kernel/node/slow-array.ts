// An array whose storage is slow, and that goes on with what it has begun when a login ends its session, as tgt does.

import type { IscsiArray, IscsiArrayOptions } from '@blockbraid/array-iscsi'
import { createIscsiArray } from '@blockbraid/array-iscsi'
import type { BlockDevice, Io } from '@blockbraid/core'
import { IoOp } from '@blockbraid/core'
import type { MemoryTarget } from '@blockbraid/target-memory'
import { forward } from '@blockbraid/testkit'

/** One write that the storage takes its time for. */
export class SlowWrite {
  /** Whether it has begun. */
  begun = false
  #wanted = false
  #end: (() => Promise<void>) | undefined

  /** The next write is the one. */
  hold(): void {
    this.#wanted = true
    this.begun = false
  }

  /** Ends it; resolves when what it wrote stands in the volume. */
  async letGo(): Promise<void> {
    await this.#end?.()
  }

  /** That storage, before a device. */
  before(device: BlockDevice): BlockDevice {
    return forward(device, {
      submit: (io) => {
        if (!this.#wanted || io.op !== IoOp.Write) return device.submit(io)
        this.#wanted = false
        this.begun = true
        this.#end = () => executed(device, io)
      },
    })
  }
}

function executed(device: BlockDevice, io: Io): Promise<void> {
  return new Promise((resolve) => {
    const { done } = io
    io.done = (...args) => {
      io.done = done
      done(...args)
      resolve()
    }
    device.submit(io)
  })
}

/** Makes the array of the first volume of `target`, with two portals; the second is preferred, and is before the slow write. */
export async function slowArrayOf(
  target: MemoryTarget,
  slow: SlowWrite,
  options: Pick<IscsiArrayOptions, 'name' | 'loginTimeout'>,
): Promise<IscsiArray> {
  const [info] = await target.discover()
  const { volume } = info!
  const device = await target.connect(info!)
  return createIscsiArray({
    ...options,
    portals: [{}, {}],
    luns: [
      { lun: 0, volume, device, portals: [0], access: 'non-optimized' },
      { lun: 0, volume, device: slow.before(device), portals: [1] },
    ],
    reinstate: 'lazy',
  })
}
