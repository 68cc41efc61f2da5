import { setTimeout as sleep } from 'node:timers/promises'
import type { Rates } from '../format/listing.ts'
import { formatListing, ratesBetween } from '../format/listing.ts'
import type { Listing } from '../snapshot/listing.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { keysOf } from '../top/keys.ts'
import type { Loads } from '../top/picture.ts'
import { loadsBetween } from '../top/rates.ts'
import { createView } from '../top/view.ts'
import type { RemoteOptions } from './ask.ts'
import { ask } from './ask.ts'

/** Between two pictures, milliseconds. */
const INTERVAL = 1000

/** `blockbraid top`: the pairs again and again, until it is interrupted or, at a terminal, `q` is pressed. */
export async function top(terminal: Terminal, options: RemoteOptions): Promise<void> {
  const { openScreen } = terminal
  // Before the screen is taken: where no agent runs, that is all that is said.
  const listing = await ask(terminal, options, { op: 'ls' })
  if (options.json || openScreen === undefined) return printAgain(terminal, options, listing)
  await watch(terminal, options, listing, openScreen)
}

async function printAgain(terminal: Terminal, options: RemoteOptions, first: Listing): Promise<void> {
  let before = first
  let started = performance.now()
  let rates: Rates = new Map()
  for (;;) {
    if (options.json) terminal.out(JSON.stringify(before))
    else {
      const clear = terminal.interactive ? '\x1b[H\x1b[2J' : ''
      terminal.out(clear + formatListing(before, rates, terminal.columns).join('\n'))
    }
    await sleep(INTERVAL, undefined, { signal: terminal.interrupted }).catch(() => undefined)
    if (terminal.interrupted.aborted) return
    const listing = await ask(terminal, options, { op: 'ls' })
    const now = performance.now()
    rates = ratesBetween(before, listing, (now - started) / 1000)
    before = listing
    started = now
  }
}

async function watch(
  terminal: Terminal,
  options: RemoteOptions,
  first: Listing,
  openScreen: NonNullable<Terminal['openScreen']>,
): Promise<void> {
  const quit = new AbortController()
  const ended = AbortSignal.any([terminal.interrupted, quit.signal])
  const view = createView()
  let listing = first
  let started = performance.now()
  let loads: Loads = loadsBetween(first, first, 0)
  let redraw = (): void => {}
  const screen = openScreen({
    input(text) {
      for (const key of keysOf(text)) {
        if (key === 'quit') quit.abort()
        else if (key === 'suspend') screen.suspend()
        else view.press(key)
      }
      redraw()
    },
    resized: () => redraw(),
  })
  try {
    redraw = () => screen.draw(view.draw(listing, loads, screen.size, new Date()))
    while (!ended.aborted) {
      redraw()
      await sleep(INTERVAL, undefined, { signal: ended }).catch(() => undefined)
      if (ended.aborted) return
      const later = await ask({ ...terminal, interrupted: ended }, options, { op: 'ls' })
      const now = performance.now()
      loads = loadsBetween(listing, later, (now - started) / 1000)
      listing = later
      started = now
    }
  } catch (error) {
    if (!ended.aborted) throw error
  } finally {
    screen.close()
  }
}
