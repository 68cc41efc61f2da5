import type { Io, Path, PathInfo, SignalOptions, Target } from '@blockbraid/core'
import { Errno, PATH_ERROR } from '@blockbraid/core'

/** Lets commands wait inside of an array: before its ports by address. */
export class Holding {
  readonly #held = new Set<string>()
  readonly #paths = new Set<HoldingPath>()

  hold(address: string): void {
    this.#held.add(address)
  }

  /** Runs what waits in paths that are still open. */
  release(address: string): void {
    this.#held.delete(address)
    for (const path of this.#paths) if (path.address === address) path.release()
  }

  holds(address: string): boolean {
    return this.#held.has(address)
  }

  /** A target whose paths do not run what is held. */
  before(target: Target): Target {
    return {
      name: target.name,
      ...(target.events === undefined ? {} : { events: target.events }),
      discover: (options) => target.discover(options),
      close: (options) => target.close(options),
      connect: async (info: PathInfo, options?: SignalOptions) => {
        const path = new HoldingPath(this, info.address, await target.connect(info, options))
        this.#paths.add(path)
        return path.face
      },
    }
  }
}

class HoldingPath {
  readonly address: string
  readonly face: Path
  #waiting: Io[] = []

  constructor(holding: Holding, address: string, path: Path) {
    this.address = address
    this.face = Object.create(path, {
      limits: { get: () => path.limits },
      access: { get: () => path.access },
      volume: { get: () => path.volume },
      id: { get: () => path.id },
      events: { get: () => path.events },
      activate: { value: path.activate?.bind(path) },
      submit: {
        value: (io: Io) => {
          if (holding.holds(address)) this.#waiting.push(io)
          else path.submit(io)
        },
      },
      close: {
        value: async (options?: SignalOptions) => {
          for (const io of this.#waiting.splice(0)) io.done(io, Errno.EIO | PATH_ERROR)
          await path.close(options)
        },
      },
    }) as Path
  }

  release(): void {
    for (const io of this.#waiting.splice(0)) this.face.submit(io)
  }
}
