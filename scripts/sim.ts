import { bugs } from './sim/bugs/all.ts'
import { run } from './sim/crew.ts'
import type { FindAll, Options, Play } from './sim/options.ts'
import { readOptions } from './sim/options.ts'

const USAGE = `Usage: npm run sim -- [--minutes N | --schedules N] [--from SEED] [--jobs N] [--bug NAME] [--bugs]
Plays schedules of failures in virtual time, each drawn from a seed; ends with 1 and a short test where one fails.
  --minutes N    for so long
  --schedules N  so many (default 10000)
  --from SEED    the first seed (default: a new one)
  --jobs N       processes (default 2)
  --bug NAME     with a seeded bug of core
  --bugs         finds each of them, and prints how`

// A bug that is not found in so many milliseconds counts as not found.
const SEARCH = 60_000

const say = (text: string): void => void process.stdout.write(`${text}\n`)

function optionsOf(args: readonly string[]): Options | undefined {
  try {
    return readOptions(args, bugs)
  } catch (error) {
    process.stderr.write(`sim: ${(error as Error).message}\n`)
    return undefined
  }
}

async function play({ from: first, jobs, count, time, bug }: Play): Promise<void> {
  const from = first ?? 1 + Math.floor(Math.random() * 2 ** 31)
  if (bug !== undefined) say(`with the bug ${bug.name}: ${bug.text}`)
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
    ...(bug === undefined ? {} : { bug: bug.name }),
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

async function findAll({ from, jobs }: FindAll): Promise<void> {
  say('| bug | what is wrong | seed | schedules | seconds |')
  say('| --- | --- | ---: | ---: | ---: |')
  const waiting = [...bugs]
  let missed = 0
  const next = async (): Promise<void> => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      const { found, time } = await run({
        from,
        count: Number.POSITIVE_INFINITY,
        time: SEARCH,
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

const options = optionsOf(process.argv.slice(2))
if (options === undefined) process.exitCode = 2
else if (options.kind === 'help') say(USAGE)
else if (options.kind === 'bugs') await findAll(options)
else await play(options)
