import { Io, IoSource } from '../../src/index.ts'
import type { Answer, Connected, Process, Request, World } from './world.ts'

/** One connection of a client to the process that serves. */
export class Connection implements Connected {
  readonly source: IoSource
  readonly process: Process
  readonly client: number
  readonly #world: World
  #lost = false
  #waiting = new Set<(answer: Answer) => void>()

  constructor(world: World, process: Process, client: number) {
    this.client = client
    this.#world = world
    this.process = process
    // 0 would be somebody who was always there.
    this.source = new IoSource(Math.max(1, world.host.clock.now()))
    world.connections.add(this)
  }

  request(request: Request): Promise<Answer> {
    const { device } = this.process
    return new Promise((resolve) => {
      if (this.#lost || device === undefined) return resolve('gone')
      const io = Object.assign(new Io(), request)
      io.source = this.source
      this.#waiting.add(resolve)
      io.done = (_io, status) => {
        this.#waiting.delete(resolve)
        resolve(this.#lost ? 'gone' : status)
      }
      device.submit(io)
    })
  }

  lose(): void {
    this.#lost = true
    this.#world.connections.delete(this)
    for (const resolve of this.#waiting) resolve('gone')
    this.#waiting.clear()
  }
}
