// Loaded before a program (`--import`): answers each message of the process that started it with the memory that it
// holds after a garbage collection, in bytes.
import { setImmediate as turn } from 'node:timers/promises'

/** What a process holds. */
export interface Memory {
  readonly rss: number
  /** Of JavaScript, and of buffers. */
  readonly heap: number
}

async function tell(): Promise<void> {
  // What waits for the first one to be found dead is gone with the second.
  for (let times = 0; times < 2; times++) {
    globalThis.gc?.()
    await turn()
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  const memory: Memory = { rss, heap: heapUsed + external }
  process.send?.(memory)
}

process.on('message', () => void tell())
// It ends when it would end without this.
process.channel?.unref()
