import type { Clock, Debt, Ledger, LeftDebt } from '@blockbraid/core'
import { delay } from '@blockbraid/core'

/** The ledger of one process. */
export interface ProcessLedger extends Ledger {
  /** The process has ended: what it was about to write is not written, and others see what it has left. */
  end(): void
}

/** A ledger that outlives simulated processes. */
export interface SharedLedger {
  /** Gives a process that begins its ledger. */
  process(name: string): ProcessLedger
  /** Debts on record, those of living processes too. */
  readonly size: number
}

// One of its own for each who waits: a shared one would keep all of them, and all that they know, for ever.
const never = (): Promise<never> => new Promise(() => {})

/** Makes a {@link SharedLedger}; a write takes up to `milliseconds`, by `random`. */
export function createSharedLedger(clock: Clock, random: () => number, milliseconds = 1): SharedLedger {
  const books = new Map<string, Book>()
  return Object.assign(new Size(books), {
    process(name: string): ProcessLedger {
      const book = { debts: new Map<string, Debt>(), ended: false }
      books.set(name, book)
      const write = async (change: () => void): Promise<void> => {
        if (book.ended) await never()
        await delay(clock, random() * milliseconds)
        if (book.ended) await never()
        change()
      }
      return {
        put: (debt) => write(() => book.debts.set(debt.token, debt)),
        drop: (token) => write(() => book.debts.delete(token)),
        async left(volume) {
          const left: LeftDebt[] = []
          for (const [owner, { debts, ended }] of books) {
            if (!ended) continue
            for (const debt of debts.values()) {
              if (debt.volume !== volume) continue
              const settle = (): Promise<void> =>
                write(() => {
                  if (debts.get(debt.token) === debt) debts.delete(debt.token)
                })
              left.push({ ...debt, owner, settle })
            }
          }
          return left
        },
        end() {
          book.ended = true
        },
      }
    },
  })
}

interface Book {
  readonly debts: Map<string, Debt>
  ended: boolean
}

class Size {
  readonly #books: ReadonlyMap<string, Book>

  constructor(books: ReadonlyMap<string, Book>) {
    this.#books = books
  }

  get size(): number {
    const all = [...this.#books.values()].flatMap(({ debts }) => [...debts.values()])
    // Of the others nothing can come any more: they only say that not all was flushed.
    return all.filter(({ ranges }) => ranges?.length !== 0).length
  }
}
