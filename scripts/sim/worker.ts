import { bugNamed, patchOf } from './bugs/all.ts'
import type { News, Work } from './messages.ts'
import { settingOf } from './setting.ts'
import { useLightSignals } from './signals.ts'
import { loadSources } from './sources.ts'

// Errors are many, and their stacks are looked at by nobody.
Error.stackTraceLimit = 0

const TOLD_EACH = 500

useLightSignals()

const work = JSON.parse(process.argv[2] as string) as Work
const bug = work.bug === undefined ? undefined : bugNamed(work.bug)
loadSources(patchOf(bug))
const { parts } = await import('./parts.ts')
const setting = settingOf(bug)
const { drawPlan, printTest, runPlan, shrinkPlan } = await import('@blockbraid/testkit/simulation')

type Plan = ReturnType<typeof drawPlan>

const tell = (news: News): Promise<void> => new Promise((resolve) => process.send!(news, () => resolve()))

// A round of the event loop costs more than a turn of its promises: each round has many. What is rejected and caught by
// nobody is told at the end of the turn all the same.
const TURNS = 64
let turns = 0
let go: (() => void) | undefined
const begin = (): void => {
  turns--
  const next = go
  go = undefined
  next?.()
}
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    go = resolve
    if (turns === 0) for (; turns < TURNS; turns++) setImmediate(begin)
  })

// What core throws where nobody can catch it.
let thrown: string | undefined
process.on('uncaughtException', (error) => {
  thrown ??= `thrown where nobody catches it: ${String(error)}`
})

async function faultOf(plan: Plan): Promise<{ fault: string | undefined; ios: number }> {
  thrown = undefined
  const { fault, ios } = await runPlan(plan, parts, { turn })
  await turn()
  return { fault: fault ?? thrown, ios }
}

const last = work.count === null ? Number.POSITIVE_INFINITY : work.from + work.count
let schedules = 0
let ios = 0
let told = performance.now()
const progress = (kind: 'progress' | 'over'): Promise<void> => {
  const { user, system } = process.cpuUsage()
  return tell({ kind, schedules, ios, cpu: (user + system) / 1000 })
}

for (let seed = work.from; seed < last; seed += work.step) {
  const plan = drawPlan(seed)
  const { fault, ios: sent } = await faultOf(plan)
  schedules++
  ios += sent
  if (fault !== undefined) {
    const fails = async (shorter: Plan): Promise<boolean> => (await faultOf(shorter)).fault !== undefined
    const short = work.shrinks ? await shrinkPlan(plan, fails) : plan
    const shown = work.shrinks ? ((await faultOf(short)).fault ?? fault) : fault
    const events = [plan.events.length, short.events.length] as const
    await tell({ kind: 'found', seed, schedules, fault, test: printTest(short, shown, { parts, ...setting }), events })
    process.exit(0)
  }
  if (performance.now() - told < TOLD_EACH) continue
  told = performance.now()
  await progress('progress')
}
await progress('over')
process.exit(0)
