import { LinuxError, Ring, type RingOptions } from '../src/index.ts'

export const NOP = 0
export const READ = 22
export const WRITE = 23

/** Why there is no io_uring on this machine, if so. */
export const ringProblem = findProblem()

/** What an entry is about. */
export interface Transfer {
  fd: number
  address: number
  length: number
}

/** Fills the next entry of a ring that has a free one. */
export function fill(ring: Ring, opcode: number, userData: number, transfer?: Transfer): true {
  const { words } = ring
  const at = ring.next()
  if (at < 0) throw new Error('no free entry')
  words[at] = opcode
  words[at + 8] = userData
  if (transfer === undefined) return true
  words[at + 1] = transfer.fd
  // As sockets have no offset: -1.
  words[at + 2] = 0xffffffff
  words[at + 3] = 0xffffffff
  words[at + 4] = transfer.address % 2 ** 32
  words[at + 5] = Math.floor(transfer.address / 2 ** 32)
  words[at + 6] = transfer.length
  return true
}

/** A ring that collects its completions. */
export function openRing(options: RingOptions): {
  ring: Ring
  completed: { userData: number; result: number; flags: number }[]
  wakeUps: () => number
  until: (count: number) => Promise<void>
} {
  const completed: { userData: number; result: number; flags: number }[] = []
  let wakeUps = 0
  let waiting: (() => void) | undefined
  const ring = new Ring(options, () => {
    wakeUps++
    ring.drain((userData, result, flags) => completed.push({ userData, result, flags }))
    waiting?.()
  })
  return {
    ring,
    completed,
    wakeUps: () => wakeUps,
    until: (count) =>
      new Promise((resolve) => {
        waiting = () => completed.length >= count && resolve()
        waiting()
      }),
  }
}

function findProblem(): string | undefined {
  try {
    new Ring({ entries: 1 }, () => {}).close()
    return undefined
  } catch (error) {
    if (!LinuxError.is(error)) throw error
    return `not run here, ${error.message}`
  }
}
