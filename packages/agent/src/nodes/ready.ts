import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { messageOf } from '@blockbraid/core'

const run = promisify(execFile)
/** Milliseconds; systemd-notify waits until the message was read. */
const LIMIT = 10_000

/** Tells systemd, where it started this process as a unit of Type=notify, that the nodes are there. */
export async function tellReady(
  env: Readonly<Record<string, string | undefined>>,
  status: string,
  report: (line: string) => void,
): Promise<void> {
  if (!env['NOTIFY_SOCKET']) return
  try {
    // Node has no datagram sockets of the unix family.
    const own = { PATH: env['PATH'], NOTIFY_SOCKET: env['NOTIFY_SOCKET'] }
    await run('systemd-notify', ['--ready', `--status=${status}`], { env: own, timeout: LIMIT })
  } catch (error) {
    report(`cannot tell systemd that the nodes are ready: ${messageOf(error).split('\n')[0]}`)
  }
}
