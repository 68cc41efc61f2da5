import type { BlockDevice, Path } from '@blockbraid/core'
import { Errno, IoOp } from '@blockbraid/core'
import { pathSuite, targetSuite } from '@blockbraid/testkit'
import { describe, it } from 'vitest'
import type { Rig } from './rig.ts'
import { rig } from './rig.ts'

type Options = Parameters<typeof rig>[0]

const rigs = new WeakMap<object, Rig>()
const rigOf = (subject: object): Rig => rigs.get(subject) as Rig

/** Number of the port that a path goes through. */
function portOf(path: BlockDevice): number {
  const { id } = path as Path
  return rigOf(path).array.ports.findIndex(({ address }) => id.includes(`/${address}/`))
}

async function open(made: Rig, port: number): Promise<Path> {
  const path = await made.open(port)
  rigs.set(path, made)
  return path
}

function paths(title: string, options: Options): void {
  describe(title, () =>
    pathSuite(
      { describe, it },
      {
        open: async () => open(await rig(options), 0),
        has: {
          trim: true,
          writeZeroes: true,
          fua: true,
          writeCache: true,
          extents: false,
          activate: false,
          access: true,
          grow: true,
          mediumErrors: true,
          ping: true,
          dark: true,
          crash: false,
        },
        faults: {
          kill: (path) => rigOf(path).array.ports[portOf(path)]!.down(),
          hang: (path) => rigOf(path).hold(portOf(path)),
          dark(path) {
            for (const one of rigOf(path).array.controllers) {
              if (one.port === portOf(path)) one.blackhole(true)
            }
          },
          release: (path) => rigOf(path).release(portOf(path)),
          second: (path) => open(rigOf(path), 1 - portOf(path)),
          setAccess: (path, access) =>
            rigOf(path).storage.setAccess(rigOf(path).volumeOf(path), { port: portOf(path) }, access),
          grow: (path, size) => rigOf(path).storage.grow(rigOf(path).volumeOf(path), size),
          breakMedium: (path, offset, length) =>
            void rigOf(path).storage.fail({
              volume: rigOf(path).volumeOf(path),
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

paths('a path', { initiator: quick })
paths('a path to blocks of 512 bytes, with digests, two queues and small transfers', {
  memory: { volumes: [{ size: '1MiB', blockSize: 512 }] },
  initiator: { ...quick, headerDigest: true, dataDigest: true, queues: 2 },
  array: { inCapsuleData: 0, r2tSize: 512, c2hDataSize: 512, maxTransfer: 8192 },
})
paths('a path before a controller that tells resets by event, and counts traffic as life', {
  initiator: quick,
  array: { crossResetTold: 'event', trafficKeepAlive: true, flowControlDisable: false, queueSize: 4 },
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
        // News reaches a host over a path that is open.
        const info = (await discover.call(target))[0]!
        await target.connect(info)
        rigOf(target).storage.addVolume({ size: '1MiB' })
      },
      exchange(target, info) {
        const { storage, array, volumeOf } = rigOf(target)
        const other = storage.volumes.find(({ id }) => id !== volumeOf(info))!.id
        const port = array.ports.findIndex(({ address }) => info.address === address)
        storage.reuseLun(port, Number(info.lun) - 1, other)
      },
    },
  ))
