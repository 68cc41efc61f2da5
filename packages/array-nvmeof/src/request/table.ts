import type { Request } from './request.ts'

/** The requests of a queue by CID: in chains, so that it makes no garbage. */
export class RequestTable {
  size = 0
  readonly #heads: (Request | null)[]
  readonly #mask: number

  /** `entries`: how many there are about. */
  constructor(entries: number) {
    const places = 2 ** Math.ceil(Math.log2(Math.max(entries, 2)))
    this.#mask = places - 1
    this.#heads = new Array<Request | null>(places).fill(null)
  }

  get(cid: number): Request | null {
    let request: Request | null = this.#heads[cid & this.#mask] ?? null
    while (request !== null && request.cid !== cid) request = request.next
    return request
  }

  add(request: Request): void {
    const place = request.cid & this.#mask
    request.next = this.#heads[place] ?? null
    this.#heads[place] = request
    this.size++
  }

  /** Takes it out; harmless where it is not in. */
  remove(request: Request): void {
    const place = request.cid & this.#mask
    let before: Request | null = null
    for (let at: Request | null = this.#heads[place] ?? null; at !== null; at = at.next) {
      if (at === request) {
        if (before === null) this.#heads[place] = request.next
        else before.next = request.next
        request.next = null
        this.size--
        return
      }
      before = at
    }
  }

  /** All of them, in a list of their own. */
  all(): Request[] {
    const all: Request[] = []
    for (const head of this.#heads) for (let at = head; at !== null; at = at.next) all.push(at)
    return all
  }
}
