import type { BlockDevice, Path } from '@blockbraid/core'
import { Errno, IoOp } from '@blockbraid/core'
import { pathSuite, targetSuite } from '@blockbraid/testkit'
import { describe, it } from 'vitest'
import type { Rig } from './rig.ts'
import { rig } from './rig.ts'

type Options = Parameters<typeof rig>[0]

const rigs = new WeakMap<object, Rig>()
const rigOf = (subject: object): Rig => rigs.get(subject) as Rig

/** Number of the portal that a path goes through. */
function portalOf(path: BlockDevice): number {
  const { id } = path as Path
  return rigOf(path).array.portals.findIndex(({ address }) => id.includes(`/${address}/`))
}

async function open(made: Rig, portal: number): Promise<Path> {
  const path = await made.open(portal)
  rigs.set(path, made)
  return path
}

/** `groups`: each portal is of a group of its own, with an access state of its own; a dead one comes back. */
function paths(title: string, groups: boolean, options: Options): void {
  const oneGroup = { portals: [{ group: 1 }, { group: 1 }] }
  const all: Options = { ...options, array: { ...(groups ? {} : oneGroup), ...options?.array } }
  describe(title, () =>
    pathSuite(
      { describe, it },
      {
        open: async () => open(await rig(all), 0),
        has: {
          trim: true,
          writeZeroes: true,
          fua: true,
          writeCache: true,
          extents: false,
          activate: true,
          access: groups,
          grow: true,
          mediumErrors: true,
          preferred: groups,
          ping: true,
          crash: false,
        },
        faults: {
          // Only a portal of the same group can prove that nothing is left, or the portal itself.
          async kill(path) {
            const portal = rigOf(path).array.portals[portalOf(path)]!
            await portal.down()
            if (groups) setTimeout(() => void portal.up(), 200)
          },
          hang: (path) => rigOf(path).hold(portalOf(path)),
          release: (path) => rigOf(path).release(portalOf(path)),
          second: (path) => open(rigOf(path), 1 - portalOf(path)),
          setAccess: (path, access) => rigOf(path).storage.setAccess(path.volume, { port: portalOf(path) }, access),
          setPreferred: (path, on) => rigOf(path).storage.prefer(path.volume, { port: portalOf(path) }, on),
          grow: (path, size) => rigOf(path).storage.grow(path.volume, size),
          breakMedium: (path, offset, length) =>
            void rigOf(path).storage.fail({
              volume: path.volume,
              ops: [IoOp.Read],
              offset,
              length,
              status: Errno.ENODATA,
            }),
        },
      },
    ),
  )
}

const quick = { pollInterval: 50 }

paths('a path', true, { initiator: quick })
paths('a path to blocks of 512 bytes, with digests and small bursts', false, {
  memory: { volumes: [{ size: '1MiB', blockSize: 512 }] },
  initiator: {
    ...quick,
    headerDigest: true,
    dataDigest: true,
    firstBurstLength: 1024,
    maxBurstLength: 4096,
    maxRecvDataSegmentLength: 2048,
    initialR2T: true,
  },
})
paths('a path before an array with a narrow window, separate status and descriptor sense', true, {
  initiator: { ...quick, immediateData: false },
  array: { window: 2, collapseStatus: false, descriptorSense: true, maxRecvDataSegmentLength: 4096 },
})

describe('the target', () =>
  targetSuite(
    { describe, it },
    {
      async open() {
        const made = await rig({
          memory: { volumes: [{ size: '1MiB' }, { size: '1MiB' }], ports: 3 },
          initiator: quick,
        })
        rigs.set(made.target, made)
        return made.target
      },
      has: { changed: true, exchange: true },
      expect: { volumes: 2, paths: 6 },
      async change(target) {
        const { discover } = target
        // News reaches an initiator over a path that is open.
        const info = (await discover.call(target))[0]!
        await target.connect(info)
        rigOf(target).storage.addVolume({ size: '1MiB' })
      },
      exchange(target, info) {
        const { storage, array } = rigOf(target)
        const other = storage.volumes.find(({ id }) => id !== info.volume)!.id
        const port = array.portals.findIndex(({ address }) => info.address === address)
        storage.reuseLun(port, Number(info.lun), other)
      },
    },
  ))
