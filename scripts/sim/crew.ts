import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Found, News, Work } from './messages.ts'

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))

/** How a crew has ended. */
export interface Report {
  readonly found: Found | undefined
  readonly schedules: number
  readonly ios: number
  /** CPU, milliseconds. */
  readonly cpu: number
  /** Milliseconds. */
  readonly time: number
}

/** What a crew is to do. */
export interface Task {
  readonly from: number
  readonly count: number
  /** Milliseconds. */
  readonly time: number
  readonly jobs: number
  readonly bug?: string
  readonly shrinks: boolean
  /** Hears now and then how far it is. */
  progress?(report: Omit<Report, 'found'>): void
}

/** Runs schedules in processes of their own, until one has failed, all are played, or the time is over. */
export async function run({ from, count, time, jobs, bug, shrinks, progress }: Task): Promise<Report> {
  const begun = performance.now()
  const counts = Array.from({ length: jobs }, () => ({ schedules: 0, ios: 0, cpu: 0 }))
  let found: Found | undefined
  const sum = (): Omit<Report, 'found'> => {
    const total = { schedules: 0, ios: 0, cpu: 0, time: performance.now() - begun }
    for (const each of counts) {
      total.schedules += each.schedules
      total.ios += each.ios
      total.cpu += each.cpu
    }
    return total
  }
  const workers = counts.map((its, index) => {
    const work: Work = { from: from + index, step: jobs, count: finite(count - index), bug, shrinks }
    const child = fork(WORKER, [JSON.stringify(work)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Each core has a worker of its own: collectors that share one pause wait for each other.
      execArgv: ['--disable-warning=ExperimentalWarning', '--no-parallel-scavenge'],
    })
    let finding = false
    child.on('message', (news: News) => {
      its.schedules = news.schedules
      if (news.kind === 'found') {
        found ??= news
        finding = true
        for (const { child: other } of workers) if (other !== child) other.kill()
      } else {
        Object.assign(its, { ios: news.ios, cpu: news.cpu })
        progress?.(sum())
      }
    })
    const ended = new Promise<void>((resolve, reject) => {
      child.on('exit', (code) => {
        if (code === 0 || code === null || finding) resolve()
        else reject(new Error(`a worker has ended with ${code}`))
      })
    })
    return { child, ended }
  })
  const stop = (): void => {
    for (const { child } of workers) child.kill()
  }
  const timer = Number.isFinite(time) ? setTimeout(stop, time) : undefined
  await Promise.all(workers.map(({ ended }) => ended))
  clearTimeout(timer)
  return { found, ...sum() }
}

function finite(count: number): number | null {
  return Number.isFinite(count) ? count : null
}
