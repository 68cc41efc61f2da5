import { LinuxError, stayAwake } from '@blockbraid/linux'
import { tellNoAddon } from './no-addon.ts'

/** What can be kept from sleeping. */
export interface EventLoop {
  /** From now on for `microseconds`, at most 10,000; 0 ends it. */
  stayAwake(microseconds: number): void
}

class ThisLoop implements EventLoop {
  #way: EventLoop['stayAwake'] | undefined

  stayAwake(microseconds: number): void {
    this.#way ??= findWay()
    this.#way(microseconds)
  }
}

function findWay(): EventLoop['stayAwake'] {
  try {
    stayAwake(0)
  } catch (error) {
    if (!LinuxError.is(error) || error.code !== 'ERR_NO_ADDON') throw error
    tellNoAddon(error)
    const loop = new ImmediateLoop()
    return (microseconds) => loop.stayAwake(microseconds)
  }
  return stayAwake
}

/** The event loop of this thread; who sent something last and who hears something first decide for all. */
export const eventLoop: EventLoop = new ThisLoop()

/** Without the addon: an immediate that is pending makes the loop look at its sockets without sleeping. */
export class ImmediateLoop implements EventLoop {
  /** ms */
  #until = 0
  #scheduled = false

  stayAwake(microseconds: number): void {
    this.#until = microseconds === 0 ? 0 : performance.now() + microseconds / 1000
    if (microseconds === 0 || this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#look)
  }

  readonly #look = (): void => {
    if (performance.now() < this.#until) setImmediate(this.#look)
    else this.#scheduled = false
  }
}
