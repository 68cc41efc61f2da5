import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Lun } from './lun.ts'

/** Starts a simulated array that speaks iSCSI on `core`, with one volume that holds nothing. */
export async function startArray(core: string): Promise<Lun> {
  const child = spawn('taskset', ['-c', core, process.execPath, 'bench/iscsi/serve-array.ts'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const line = String(await Promise.race([once(child.stdout, 'data'), exited])).trim()
  const stop = async (): Promise<void> => {
    child.stdin.end()
    await exited
  }
  const [portal, target] = line.split(' ')
  if (portal === undefined || target === undefined) throw new Error(`the simulated array did not start: ${line}`)
  return { name: 'simulated array', portal, target, lun: '0', blockSize: 512, pid: child.pid as number, stop }
}
