import type { BlockDevice, DeviceLimits } from '../device.ts'
import { messageOf } from '../errors.ts'
import type { Attachment } from '../transport.ts'

/** What {@link Following} asks and tells. */
export interface FollowingOwner {
  /** Whether the attachment is being detached, or was. */
  detaching(): boolean
  /** The attachment keeps what it had. */
  failed(event: 'resizeFailed' | 'limitsFailed', error: Error): void
}

/** Has an attachment follow the size and the limits of its device. */
export class Following {
  readonly #device: Pick<BlockDevice, 'limits'>
  readonly #kernel: Attachment
  readonly #owner: FollowingOwner
  #resizing = false
  #limiting = false
  #sizeKept = ''
  #limitsKept = ''

  constructor(device: Pick<BlockDevice, 'limits'>, kernel: Attachment, owner: FollowingOwner) {
    this.#device = device
    this.#kernel = kernel
    this.#owner = owner
  }

  /** What it could not follow, for people; an empty text where it shows all as it is. */
  get behind(): string {
    return [this.#sizeKept, this.#limitsKept].filter((text) => text !== '').join('; ')
  }

  // One call at a time: of two at once the attachment could end with either's size.
  async size(): Promise<void> {
    if (this.#resizing) return
    this.#resizing = true
    let size: number
    do {
      ;({ size } = this.#device.limits)
      try {
        await this.#kernel.resize(size)
        this.#sizeKept = ''
      } catch (error) {
        this.#sizeKept = messageOf(error)
        this.#owner.failed('resizeFailed', error as Error)
      }
    } while (size !== this.#device.limits.size)
    this.#resizing = false
  }

  // As that of the size. It is said once as long as it stays so.
  async limits(): Promise<void> {
    if (this.#limiting || this.#kernel.follow === undefined) return
    this.#limiting = true
    let limits: DeviceLimits
    do {
      ;({ limits } = this.#device)
      const before = this.#limitsKept
      try {
        await this.#kernel.follow(limits)
        this.#limitsKept = ''
      } catch (error) {
        // What is being detached follows nobody.
        if (this.#owner.detaching()) break
        this.#limitsKept = messageOf(error)
        if (this.#limitsKept !== before) this.#owner.failed('limitsFailed', error as Error)
      }
    } while (limits !== this.#device.limits)
    this.#limiting = false
  }
}
