import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Runs `work` while another process takes all that it gets of `core`. */
export async function besideSpinner<Result>(core: string, work: () => Promise<Result>): Promise<Result> {
  const spinner = spawn('taskset', ['-c', core, process.execPath, '-e', 'for (;;);'], { stdio: 'ignore' })
  const exited = once(spinner, 'exit')
  try {
    return await work()
  } finally {
    spinner.kill('SIGKILL')
    await exited
  }
}
