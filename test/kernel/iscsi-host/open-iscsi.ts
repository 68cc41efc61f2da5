import { mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../guest/wait.ts'
import { daemon, judge, openRoot, ROOT, startJudge } from '../judges/root.ts'

/** Name of the kernel's initiator. */
export const LINUX = 'iqn.2026-11.io.blockbraid.test:linux'

let started: Promise<void> | undefined

/** Starts iscsid, which logs in and keeps sessions for the kernel's initiator. */
export function startIscsid(): Promise<void> {
  return (started ??= run())
}

async function run(): Promise<void> {
  await openRoot()
  mkdirSync(join(ROOT, 'etc/iscsi'), { recursive: true })
  mkdirSync('/run/lock/iscsi', { recursive: true })
  writeFileSync(join(ROOT, 'etc/iscsi/initiatorname.iscsi'), `InitiatorName=${LINUX}\n`)
  daemon('iscsid', ['-f'])
  // 21: no session, which is an answer of iscsid.
  await until('iscsid answers', async () => (await startJudge('iscsiadm', ['-m', 'session']).ended).code === 21)
}

/** Portals that SendTargets tells of, by the target's name. */
export async function sendTargets(portal: string): Promise<{ target: string; portal: string }[]> {
  const words = await judge('iscsiadm', '-m', 'discovery', '-t', 'sendtargets', '-p', portal)
  return words
    .trim()
    .split('\n')
    .map((line) => {
      const [address = '', target = ''] = line.split(' ')
      return { target, portal: address }
    })
}

/** Sets a setting of every node of a target, such as `node.session.auth.authmethod`. */
export async function configure(target: string, settings: Readonly<Record<string, string | number>>): Promise<void> {
  const node = ['-m', 'node', '-T', target]
  const pairs = Object.entries(settings).flatMap(([name, value]) => ['-n', name, '-v', String(value)])
  if (pairs.length > 0) await judge('iscsiadm', ...node, '-o', 'update', ...pairs)
}

/** What the kernel knows of a session, a file of its folder. */
export function sessionFacts(number: number): { portal: string; state: string; connection: string } {
  const connection = `/sys/class/iscsi_connection/connection${number}:0`
  const read = (file: string): string => readFileSync(file, 'utf8').trim()
  return {
    portal: `${read(`${connection}/persistent_address`)}:${read(`${connection}/persistent_port`)}`,
    state: read(`/sys/class/iscsi_session/session${number}/state`),
    connection,
  }
}

/** Numbers of the kernel's sessions with a target. */
export function sessionsOf(target: string): number[] {
  return list('/sys/class/iscsi_session')
    .map((name) => Number(name.replace('session', '')))
    .filter((number) => {
      try {
        return readFileSync(`/sys/class/iscsi_session/session${number}/targetname`, 'utf8').trim() === target
      } catch {
        return false
      }
    })
}

/** SCSI disks of the sessions with a target, each with the portal it is reached through. */
export function disksOf(target: string): { dev: string; portal: string; lun: number }[] {
  const sessions = sessionsOf(target)
  return list('/sys/block')
    .filter((name) => name.startsWith('sd'))
    .flatMap((dev) => {
      try {
        const place = realpathSync(`/sys/block/${dev}/device`)
        const session = Number(/\/session(\d+)\//.exec(place)?.[1])
        if (!sessions.includes(session)) return []
        return [{ dev, portal: sessionFacts(session).portal, lun: Number(place.split(':').at(-1)) }]
      } catch {
        return []
      }
    })
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
