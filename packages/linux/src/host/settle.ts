import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { helperEnvironment } from './environment.ts'

/** How long a node may take to appear, and udev to name it, milliseconds. */
const LIMIT = 10_000
const STEP = 10

/**
 * Resolves once `/dev/KNAME` is there and udev, where it runs, has acted on what is known of it now. udev
 * that takes too long is not waited for. Rejects where the node does not appear within 10 s.
 */
export async function settleNode(kname: string): Promise<void> {
  const node = `/dev/${kname}`
  for (let waited = 0; !(await exists(node)); waited += STEP) {
    if (waited > LIMIT) throw new Error(`${node} did not appear within ${LIMIT / 1000} s: is /dev a devtmpfs?`)
    await sleep(STEP)
  }
  if (!(await exists('/run/udev/control'))) return
  const settle = `--timeout=${LIMIT / 1000}`
  await udevadm(['trigger', '--action=change', `--name-match=${node}`])
  await udevadm(['settle', settle])
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

// Without udevadm there is nothing to wait for.
function udevadm(args: readonly string[]): Promise<void> {
  const options = { timeout: LIMIT, env: helperEnvironment() }
  return new Promise((resolve) => execFile('udevadm', args, options, () => resolve()))
}
