/** So many at once; who comes later waits for room, in order. */
export class Slots {
  readonly #most: number
  #taken = 0
  #waiting: (() => void)[] = []

  constructor(most: number) {
    this.#most = most
  }

  /** How many are taken. */
  get taken(): number {
    return this.#taken
  }

  /** Resolves to whether one was had before `over` settled; `leave` it later. */
  async take(over: Promise<unknown>): Promise<boolean> {
    if (this.#taken < this.#most) {
      this.#taken++
      return true
    }
    let mine = false
    let enter = (): void => {}
    const turn = new Promise<void>((resolve) => {
      enter = () => {
        mine = true
        resolve()
      }
    })
    this.#waiting.push(enter)
    await Promise.race([turn, over])
    this.#waiting = this.#waiting.filter((one) => one !== enter)
    return mine
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#taken--
    else next()
  }
}
