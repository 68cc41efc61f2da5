import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { followPluginFiles } from '../plugins/plugin-files.ts'

/** What the thread of {@link watchLoop} is given. */
export interface WatchdogOptions {
  /** How long the event loop may stand still before it is told, milliseconds. */
  readonly limit: number
  /** Holds the secrets that no line may show. */
  readonly secrets: unknown
}

/** How long the event loop may stand still before that is told, milliseconds. */
const LIMIT = 2000

/**
 * Watches this process's event loop from a thread of its own, which writes to stderr when the loop stands still, with
 * what runs, and when it turns again. Keeps no process alive. Returns what ends it.
 */
export function watchLoop(secrets: unknown): () => void {
  // Whoever looks with a debugger makes it stand still on purpose.
  if (process.execArgv.some((text) => text.startsWith('--inspect'))) return () => {}
  // The file stands beside this one, in src/watchdog/ and in dist/.
  const file = new URL(import.meta.url.endsWith('.ts') ? 'watchdog-thread.ts' : 'watchdog-thread.js', import.meta.url)
  const worker = new Worker(fileURLToPath(file), {
    workerData: { limit: LIMIT, secrets } satisfies WatchdogOptions,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
  })
  worker.unref()
  // It is asked again and again; that the answer goes out shows that the loop turns.
  worker.on('message', () => worker.postMessage(null))
  // Without it the agent serves as before.
  worker.on('error', () => {})
  const unfollow = followPluginFiles((plugin) => worker.postMessage(plugin))
  return () => {
    unfollow()
    void worker.terminate()
  }
}
