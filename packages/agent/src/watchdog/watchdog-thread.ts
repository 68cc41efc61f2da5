// The thread of watchdog.ts.
import { writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import { hiderOf } from '../config/secrets.ts'
import type { PluginFile } from '../plugins/plugin-files.ts'
import type { WatchdogOptions } from './watchdog.ts'
import { runningNow } from './watchdog-stack.ts'

/** Between two lines about loops that stand still, milliseconds. */
const QUIET = 60_000

const { limit, secrets } = workerData as WatchdogOptions
const port = parentPort!
const hider = hiderOf(secrets)
const plugins = new Map<string, string>()
const step = limit / 2

let answered = true
let asked = performance.now()
let silent = 0
let lastLook = asked
let lastTold = Number.NEGATIVE_INFINITY
let told = false
let untold = 0

port.on('message', (plugin: PluginFile | null) => {
  if (plugin !== null) return void plugins.set(plugin.url, plugin.name)
  answered = true
  if (told) say(`the event loop turns again, after ${seconds()} s`)
  else if (silent >= limit) untold++
  told = false
  silent = 0
})

// Each second, so that an idle agent stays idle.
setInterval(() => {
  const now = performance.now()
  const passed = now - lastLook
  lastLook = now
  if (answered) {
    answered = false
    asked = now
    return port.postMessage(null)
  }
  // This thread stood still too: the process was stopped, or its machine.
  if (passed > step * 1.5) return
  silent += passed
  if (silent < limit || now - lastTold < QUIET) return
  lastTold = now
  told = true
  void tell()
}, step)

async function tell(): Promise<void> {
  const frames = await runningNow()
  if (answered) return
  const more = untold === 0 ? '' : ` (${untold} more since the last such line were not told)`
  untold = 0
  const what = frames === undefined ? 'what runs cannot be seen' : describe(frames)
  say(`the event loop has stood still for ${seconds()} s: ${what}; no I/O is served meanwhile${more}`)
}

function describe(frames: readonly { name: string; url: string; line: number }[]): string {
  if (frames.length === 0) return 'a call into native code has not come back'
  const places = frames.slice(0, 4).map(({ name, url, line }) => {
    const plugin = plugins.get(url)
    return `${name === '' ? '(anonymous)' : name} (${pathOf(url)}:${line}${plugin === undefined ? '' : `, ${plugin}`})`
  })
  return `${places[0]} runs${places.length > 1 ? `, called by ${places.slice(1).join(', ')}` : ''}`
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url)
  } catch {
    return url === '' ? 'no file' : url
  }
}

function seconds(): string {
  return ((performance.now() - asked) / 1000).toFixed(1)
}

function say(text: string): void {
  try {
    writeSync(2, `blockbraid: ${new Date().toISOString()} pid ${process.pid}: ${hider.hide(text)}\n`)
  } catch {
    // Whoever read stderr has gone, or does not read.
  }
}
