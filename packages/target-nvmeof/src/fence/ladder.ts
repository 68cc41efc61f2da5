import type { Clock, Fence } from '@blockbraid/core'
import { abortable, delay } from '@blockbraid/core'
import type { Association } from '../association/association.ts'
import type { LeftController } from '../place/fence-token.ts'
import { crossReset } from './cross-reset.ts'
import { endsLate, Presence } from './forgotten.ts'
import type { LadderHost } from './ladder-host.ts'
import type { LastSigns, Watch } from './quiet-time.ts'
import { quietBy, watchOf } from './quiet-time.ts'
import type { LostController, Siblings } from './siblings.ts'

/** As `FenceProof.by` says it. */
export const By = {
  Answered: 'answered',
  Disabled: 'controller disabled',
  Gone: 'controller gone',
  CrossReset: 'cross-controller reset',
  Time: 'time',
  Nothing: 'nothing',
} as const

// An admin queue that answers nothing for so long is not waited for, milliseconds.
const ANSWER = 1000
// What can be disabled should not take the place of what cannot: CCRL is small. Milliseconds.
const HEAD_START = 200

/**
 * Proves that nothing that was sent through a lost association can change data any more, by whatever proves it first:
 * its controller is disabled, or reset through a sibling, or has given up by itself. Undefined only when `signal` fires.
 */
export async function climb(lost: Association, host: LadderHost, signal: AbortSignal): Promise<Fence | undefined> {
  const { clock } = host
  const over = new AbortController()
  const both = AbortSignal.any([signal, over.signal])
  // Nothing is sent through it after that: the time of the last rung begins.
  const disabling = disable(lost, clock, both).finally(() => lost.release())
  const { place, controller } = lost
  const presence = endsLate(controller) ? new Presence(place, controller.id, host) : undefined
  const waiting = disabling.then(() => {
    const quietAt = clock.now()
    const signs = (): LastSigns => ({ heardAt: Math.max(lost.heardAt, presence?.seenAt ?? 0), quietAt })
    return byTime(signs, watchOf(controller), host, both)
  })
  const headStart = delay(clock, HEAD_START, both).then(() => false)
  const resetting = Promise.race([disabling, headStart]).then((disabled) =>
    disabled && presence === undefined ? false : crossReset(named(lost), host.siblings, host.random, both),
  )
  const rungs: Promise<Fence | undefined>[] = [
    disabling.then((done) => (done && presence === undefined ? { by: By.Disabled, assumed: false } : undefined)),
    disabling.then(() => gone(presence, both)),
    resetting.then((done) => (done ? { by: By.CrossReset, assumed: false } : undefined)),
    waiting,
  ]
  const proof = await firstOf(rungs)
  over.abort()
  return proof
}

/** The same for a controller of a process that has ended, which fell silent before `quietAt`. */
export async function climbFor(
  lost: LeftController,
  quietAt: number,
  host: LadderHost,
  signal: AbortSignal,
): Promise<Fence | undefined> {
  const over = new AbortController()
  const both = AbortSignal.any([signal, over.signal])
  const presence = lost.endsLate ? new Presence(lost.place, lost.id, host) : undefined
  const signs = (): LastSigns => ({ heardAt: Math.max(quietAt, presence?.seenAt ?? 0), quietAt })
  const proof = await firstOf([
    gone(presence, both),
    crossReset(lost, host.siblings, host.random, both).then((done) =>
      done ? { by: By.CrossReset, assumed: false } : undefined,
    ),
    byTime(signs, lost, host, both),
  ])
  over.abort()
  return proof
}

async function gone(presence: Presence | undefined, signal: AbortSignal): Promise<Fence | undefined> {
  return (await presence?.gone(signal)) ? { by: By.Gone, assumed: false } : undefined
}

/** How a live association would be fenced if it were lost now and its admin queue with it. */
export function fenceInTheWorstCase(association: Association, siblings: Siblings): Fence {
  const { controller } = association
  if (siblings.of(named(association)).length > 0) return { by: By.CrossReset, assumed: false }
  if (controller.keepAliveTimeout === 0) return { by: By.Nothing, assumed: false }
  return timed(controller)
}

function timed({ quiesceTime }: Watch): Fence {
  return { by: By.Time, assumed: quiesceTime === 0 }
}

function named({ place, controller }: Association): LostController {
  const { id, instance, instanceRandom, model, serial } = controller
  return { place, id, instance, instanceRandom, model, serial }
}

/** The first of them that is a proof; undefined where none is. */
function firstOf(rungs: readonly Promise<Fence | undefined>[]): Promise<Fence | undefined> {
  return new Promise((resolve) => {
    for (const rung of rungs) void rung.then((proof) => proof !== undefined && resolve(proof))
    void Promise.all(rungs).then(() => resolve(undefined))
  })
}

/** Disables its controller, as long as its admin queue answers. */
async function disable(lost: Association, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const mute = new AbortController()
  const over = new AbortController()
  const watch = async (): Promise<void> => {
    for (let heard = -1; !over.signal.aborted && heard !== lost.heardAt; ) {
      heard = lost.heardAt
      await delay(clock, ANSWER, over.signal)
    }
    mute.abort()
  }
  void watch()
  const both = AbortSignal.any([signal, mute.signal])
  try {
    return await abortable(lost.disable({ signal: both }), both)
  } catch {
    return false
  } finally {
    over.abort()
  }
}

/** `signs` may get later while it waits. */
async function byTime(
  signs: () => LastSigns,
  watch: Watch,
  { clock, quiesceTime }: LadderHost,
  signal: AbortSignal,
): Promise<Fence | undefined> {
  while (!signal.aborted) {
    const at = quietBy(signs(), watch, quiesceTime)
    if (at === undefined) return undefined
    const left = at - clock.now()
    if (left <= 0) return timed(watch)
    await delay(clock, left / 1000, signal)
  }
  return undefined
}
