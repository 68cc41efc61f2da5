// The kernel's own initiator, with open-iscsi and dm-multipath, on a simulated array in this process.
import { existsSync } from 'node:fs'
import type { IscsiArray, IscsiArrayOfOptions } from '@blockbraid/array-iscsi'
import { iscsiArrayOf } from '@blockbraid/array-iscsi'
import type { MemoryArray, MemoryOptions } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { until } from '../guest/wait.ts'
import { judge, startJudge } from '../judges/root.ts'
import { readDirect } from '../node/tools.ts'
import type { HostPath } from './multipath.ts'
import { hostPaths, startMultipath } from './multipath.ts'
import { configure, disksOf, sendTargets, sessionsOf, startIscsid } from './open-iscsi.ts'

export const MIB = 1024 * 1024

/** Addresses of the array. */
export const PORTALS = ['127.0.0.1:3260', '127.0.0.2:3260'] as const

/** What a bed is made of. */
export interface BedOptions {
  /** One volume of 64 MiB of 512-byte blocks on two ports, unless it says otherwise. */
  readonly storage?: MemoryOptions
  readonly array?: Partial<IscsiArrayOfOptions>
  /** Settings of open-iscsi for its sessions. */
  readonly settings?: Readonly<Record<string, string | number>>
}

/** A host and an array, with a session through each portal, and a map over their disks. */
export interface Bed extends AsyncDisposable {
  readonly storage: MemoryArray
  readonly array: IscsiArray
  /** Of the first volume's map. */
  readonly wwid: string
  /** Such as `/dev/mapper/36…`. */
  readonly map: string
  /** Disk of the first volume through a portal, such as `sda`. */
  disk(portal: string): string
  /** Path of the first volume through a portal, in the words of multipathd. */
  path(portal: string): Promise<HostPath | undefined>
}

// Seconds. A ping may take long in an emulated machine; what tests a silent portal asks for less.
const patient = {
  'node.conn[0].timeo.noop_out_interval': 10,
  'node.conn[0].timeo.noop_out_timeout': 20,
  'node.conn[0].timeo.login_timeout': 60,
  'node.session.initial_login_retry_max': 8,
}

let made = 0

/** Makes an array and logs in; ready when every path is. */
export async function openBed({ storage, array: wanted, settings }: BedOptions = {}): Promise<Bed> {
  await Promise.all([startIscsid(), startMultipath()])
  const target = memory({ name: `host${++made}`, volumes: [{ size: '64MiB', blockSize: 512 }], ports: 2, ...storage })
  const name = `iqn.2026-11.io.blockbraid.test:array${made}`
  const portals = PORTALS.map((portal) => ({ host: portal.split(':')[0]!, port: Number(portal.split(':')[1]) }))
  const array = await iscsiArrayOf(target, { name, portals, loginTimeout: 60_000, ...wanted })
  const wwid = `3${target.array.volumes[0]!.id.replace('naa.', '')}`
  const path = async (portal: string): Promise<HostPath | undefined> => {
    const dev = disksOf(name).find((disk) => disk.portal === portal && disk.lun === 0)?.dev
    return (await hostPaths(wwid)).find((each) => each.dev === dev)
  }
  const bed: Bed = {
    storage: target.array,
    array,
    wwid,
    map: `/dev/mapper/${wwid}`,
    disk: (portal) => disksOf(name).find((disk) => disk.portal === portal && disk.lun === 0)?.dev ?? '',
    path,
    async [Symbol.asyncDispose]() {
      array.faults.heal()
      for (const { address } of array.portals) await forget(name, address)
      await until('the sessions are gone', () => sessionsOf(name).length === 0)
      await array.close()
      await target.close()
    },
  }
  try {
    await sendTargets(PORTALS[0])
    await configure(name, { ...patient, ...settings })
    await judge('iscsiadm', '-m', 'node', '-T', name, '--login')
    await allReady(bed)
    await until('udev has named the map', () => existsSync(bed.map))
    // The first command of all chooses a path group.
    await readDirect(bed.map, 0, 4096)
    return bed
  } catch (error) {
    await bed[Symbol.asyncDispose]()
    throw error
  }
}

/** Waits until each path of the first volume is ready. */
export async function allReady(bed: Bed): Promise<void> {
  for (const portal of PORTALS) {
    await until(`the path through ${portal} is ready`, async () => {
      const path = await bed.path(portal)
      return path?.check === 'ready' && path.dm === 'active'
    })
  }
}

/** Maps of a target go before its sessions do, since no_path_retry would hold their commands for ever. */
async function forget(target: string, portal: string): Promise<void> {
  await startJudge('multipathd', ['disablequeueing', 'maps']).ended
  const node = ['-m', 'node', '-T', target, '-p', portal]
  await startJudge('iscsiadm', [...node, '--logout']).ended
  await startJudge('iscsiadm', [...node, '-o', 'delete']).ended
}
