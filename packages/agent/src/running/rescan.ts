import type { ScanReport } from '@blockbraid/core'
import { messageOf } from '@blockbraid/core'
import { beginPairs } from '../pairs/begin.ts'
import { makingsOf, tellFailures } from '../pairs/keeping.ts'
import type { ResizedPair } from './resizes.ts'
import type { Running } from './running.ts'
import { settlePairs } from './settled.ts'
import { lineOfError, lineOfNote, problemsOf, tellPlan, tellScan } from './tell.ts'

/** What a rescan changed. */
export interface RescanResult {
  /** Path ids. */
  readonly added: readonly string[]
  /** Path ids. */
  readonly removed: readonly string[]
  /** Names of pairs made of volumes that were not paired. */
  readonly paired: readonly string[]
  /** Volumes whose size has changed; left out where there is none. */
  readonly resized?: readonly ResizedPair[]
  /** One line each: targets that could not be asked, devices that could not be paired. */
  readonly errors: readonly string[]
  /** One line each: what targets say of what they leave out; without the field they say nothing. */
  readonly notes?: readonly string[]
}

/** Asks the targets again and pairs what the config wants and is new. */
export async function rescan(running: Running): Promise<RescanResult> {
  const { agent, hider, resizes, signal } = running
  const found = await agent.rescan({ signal })
  const { added, removed, resized, errors, notes = [] } = found
  resizes.add(resized)
  const begun = await beginPairs(running)
  const others = makingsOf(running).filter((making) => !begun.makings.includes(making))
  const { failures, slow, paired } = await settlePairs(running, [...begun.makings, ...others], signal)
  tellScan(running, found)
  tellPlan(running, begun)
  tellFailures(running, [...failures, ...slow])
  const lines = [
    ...errors.map((error) => hider.hide(lineOfError(error))),
    ...problemsOf(begun),
    ...[...failures, ...slow].map(({ error }) => error.message),
  ]
  const said = notes.map((note) => hider.hide(lineOfNote(note)))
  const changed = resizes.take(agent.pairs)
  return { added, removed, paired, ...changed, errors: lines, ...(said.length > 0 && { notes: said }) }
}

/** Pairs what a look that nobody asked for has found, and tells of it. */
export function follow(running: Running, found: ScanReport): void {
  const { log, resizes, signal, telling } = running
  if (signal.aborted) return
  const { added, removed } = found
  resizes.add(found.resized)
  // What is told of something that went, or came back, does not need this line too.
  const before = telling.count('scan')
  const said = tellScan(running, found)
  const isNews = said === 0 && telling.count('scan') === before
  if (isNews || added.length > 0 || removed.length > 0) {
    log.repeat(`rescan: ${added.length} paths came, ${removed.length} went`, {
      topic: 'rescan',
      severity: 'info',
      atOnce: 5,
    })
  }
  beginPairs(running).then(
    (begun) => {
      tellPlan(running, begun)
      for (const { ended } of begun.makings) void ended.then((failure) => failure && tellFailures(running, [failure]))
    },
    (error: unknown) => log.report(`rescan: ${messageOf(error)}`, 'warning'),
  )
}
