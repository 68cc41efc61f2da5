import { parseArgs } from 'node:util'
import { bugNamed, bugs } from './sim/bugs/all.ts'
import { run } from './sim/crew.ts'

const USAGE = `Usage: npm run sim -- [--minutes N | --schedules N] [--from SEED] [--jobs N] [--bug NAME] [--bugs]
Plays schedules of failures in virtual time, each drawn from a seed; ends with 1 and a short test where one fails.
  --minutes N    for so long
  --schedules N  so many (default 10000)
  --from SEED    the first seed (default: a new one)
  --jobs N       processes (default 2)
  --bug NAME     with a seeded bug of core
  --bugs         finds each of them, and prints how`

const MINUTE = 60_000
// A bug that is not found in so many minutes counts as not found.
const SEARCH = 1

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    schedules: { type: 'string' },
    from: { type: 'string' },
    jobs: { type: 'string' },
    bug: { type: 'string' },
    bugs: { type: 'boolean' },
    help: { type: 'boolean' },
  },
})

function number(field: 'minutes' | 'schedules' | 'from' | 'jobs', initial: number): number {
  const text = values[field]
  const value = text === undefined ? initial : Number(text)
  if (value > 0) return value
  throw new Error(`--${field} is ${text}; it must be a number above 0`)
}

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const jobs = number('jobs', 2)

async function play(): Promise<void> {
  const from = number('from', 1 + Math.floor(Math.random() * 2 ** 31))
  const time = values.minutes === undefined ? Number.POSITIVE_INFINITY : number('minutes', 1) * MINUTE
  const endless = values.minutes !== undefined && values.schedules === undefined
  const count = endless ? Number.POSITIVE_INFINITY : number('schedules', 10_000)
  if (values.bug !== undefined) say(`with the bug ${values.bug}: ${bugNamed(values.bug).text}`)
  say(`schedules from seed ${from}, in ${jobs} processes`)
  let shown = performance.now()
  const {
    found,
    schedules,
    ios,
    cpu,
    time: took,
  } = await run({
    from,
    count,
    time,
    jobs,
    shrinks: true,
    ...(values.bug === undefined ? {} : { bug: values.bug }),
    progress({ schedules: played, time: since }) {
      if (performance.now() - shown < 10_000) return
      shown = performance.now()
      say(`  ${played} schedules in ${Math.round(since / 1000)} s`)
    },
  })
  const each = cpu > 0 ? `, ${(cpu / schedules).toFixed(2)} ms of CPU each` : ''
  say(`${schedules} schedules, ${ios} I/Os, in ${(took / 1000).toFixed(1)} s${each}`)
  if (found === undefined) return
  const [before, after] = found.events
  say(`seed ${found.seed} fails: ${found.fault}`)
  say(`its ${before} events made ${after}, as a test:\n\n${found.test}`)
  process.exitCode = 1
}

async function findAll(): Promise<void> {
  const from = number('from', 1)
  say('| bug | what is wrong | seed | schedules | seconds |')
  say('| --- | --- | ---: | ---: | ---: |')
  const waiting = [...bugs]
  let missed = 0
  const next = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const { found, time } = await run({
        from,
        count: Number.POSITIVE_INFINITY,
        time: SEARCH * MINUTE,
        jobs: 1,
        bug: bug.name,
        shrinks: false,
      })
      if (found === undefined) missed++
      const how =
        found === undefined ? 'missed | | ' : `${found.seed} | ${found.schedules} | ${(time / 1000).toFixed(1)}`
      say(`| ${bug.name} | ${bug.text} | ${how} |`)
    }
  }
  await Promise.all(Array.from({ length: jobs }, next))
  say(`\n${bugs.length - missed} of ${bugs.length} found, from seed ${from} on`)
  if (missed > 0) process.exitCode = 1
}

if (values.help) say(USAGE)
else if (values.bugs) await findAll()
else await play()
