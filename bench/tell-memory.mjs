// Loaded before a program (`--import`): answers each message of the process that started it with the memory that it
// holds after a garbage collection. Not TypeScript: what strips types of it would be measured too.
import { setImmediate as turn } from 'node:timers/promises'

async function tell() {
  // What waits for the first one to be found dead is gone with the second.
  for (let times = 0; times < 2; times++) {
    globalThis.gc?.()
    await turn()
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  process.send?.({ rss, heap: heapUsed + external })
}

process.on('message', () => void tell())
// It ends when it would end without this.
process.channel?.unref()
