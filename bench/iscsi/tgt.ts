import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Lun } from './lun.ts'
import { freePort } from './lun.ts'

/** Starts tgtd on `core` with one disk of 512-byte blocks that holds nothing: only the protocol is left. */
export async function startTgt(folder: string, core: string): Promise<Lun> {
  const portal = `127.0.0.1:${await freePort()}`
  const env = { ...process.env, TGT_IPC_SOCKET: join(folder, 'tgt') }
  const target = 'iqn.2026-11.bench:null'
  const child = spawn('taskset', ['-c', core, 'tgtd', '-f', '--iscsi', `portal=${portal}`], {
    stdio: 'ignore',
    env,
  })
  const exited = once(child, 'exit')
  const stop = async (): Promise<void> => {
    // tgtd does not end at SIGTERM.
    child.kill('SIGKILL')
    await exited
  }
  const adm = (line: string): void => {
    execFileSync('tgtadm', ['--lld', 'iscsi', ...line.split(' ')], { env, stdio: 'ignore' })
  }
  try {
    for (let tries = 0; ; tries++) {
      try {
        adm(`--op new --mode target --tid 1 -T ${target}`)
        break
      } catch (error) {
        if (tries === 100) throw error
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    adm('--op update --mode target --tid 1 -n MaxRecvDataSegmentLength -v 262144')
    adm('--op update --mode target --tid 1 -n InitialR2T -v No')
    adm('--op new --mode logicalunit --tid 1 --lun 1 --bstype null -b none')
    adm('--op bind --mode target --tid 1 -I ALL')
  } catch (error) {
    await stop()
    throw error
  }
  return { name: 'tgt, null backing', portal, target, lun: '1', blockSize: 512, pid: child.pid as number, stop }
}
