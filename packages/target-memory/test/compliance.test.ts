import type { BlockDevice, Path, Target } from '@blockbraid/core'
import { Errno, IoOp } from '@blockbraid/core'
import { pathSuite, targetSuite, virtualHost } from '@blockbraid/testkit'
import { describe, it } from 'vitest'
import type { MemoryArray, MemoryOptions, MemoryTarget } from '../src/index.ts'
import { memory } from '../src/index.ts'
import { write } from './helpers.ts'

const host = virtualHost(1)
const arrays = new WeakMap<object, { array: MemoryArray; target: Target }>()
let latest: MemoryArray
const portOf = (path: BlockDevice): number => Number(/\/port(\d+)\//.exec((path as Path).id)![1])
const arrayOf = (path: BlockDevice): MemoryArray => arrays.get(path)!.array

async function connect(target: Target & { array: MemoryArray }, index: number): Promise<Path> {
  const path = await target.connect((await target.discover())[index]!)
  arrays.set(path, { array: target.array, target })
  return path
}

function paths(title: string, options: MemoryOptions): void {
  const logged = options.log === true
  describe(title, () =>
    pathSuite(
      { describe, it },
      {
        open: () => connect(memory({ volumes: [{ size: '16MiB' }], ...options }, host), 0),
        has: {
          trim: true,
          writeZeroes: true,
          fua: true,
          writeCache: true,
          extents: true,
          activate: true,
          access: true,
          grow: true,
          mediumErrors: true,
          preferred: true,
          ping: true,
          dark: true,
          crash: logged,
        },
        faults: {
          kill: (path) => arrayOf(path).portDown(portOf(path)),
          hang: (path) => arrayOf(path).hang(portOf(path)),
          dark: (path) => arrayOf(path).hang(portOf(path)),
          release: (path) => arrayOf(path).release(portOf(path)),
          second: (path) => connect(memory({ array: arrayOf(path) }, host), portOf(path) === 1 ? 0 : 1),
          setAccess: (path, access) => arrayOf(path).setAccess(path.volume, { port: portOf(path) }, access),
          setPreferred: (path, on) => arrayOf(path).prefer(path.volume, { port: portOf(path) }, on),
          grow: (path, size) => arrayOf(path).grow(path.volume, size),
          breakMedium: (path, offset, length) =>
            void arrayOf(path).fail({ volume: path.volume, ops: [IoOp.Read], offset, length, status: Errno.ENODATA }),
        },
        crash: async (device) => {
          const image = arrayOf(device).crashImage(0, () => 1)
          const path = await connect(memory({ volumes: [{ size: image.size }], ...options }, host), 0)
          const step = path.limits.maxTransfer
          for (let at = 0; at < image.size; at += step) await write(path, at, image.read(at, step)).end
          return path
        },
        clock: host.clock,
      },
    ),
  )
}

paths('a path without latency', {})
paths('a path with blocks of 512 bytes', { volumes: [{ size: '1MiB', blockSize: 512 }] })
paths('a path with latency, jitter and a shallow queue', { latency: { base: 50, jitter: 200 }, queueDepth: 4 })
paths('a path with the log and a slow fence', { log: true, maxTransfer: '64KiB', fenceDelay: 500 })

describe('the target', () =>
  targetSuite(
    { describe, it },
    {
      async open() {
        const target = memory({ volumes: [{ size: '1MiB' }, { size: '1MiB' }], ports: 3 }, host)
        arrays.set(target, { array: target.array, target })
        latest = target.array
        return target
      },
      has: { changed: true, exchange: true, fence: true },
      expect: { volumes: 2, paths: 6 },
      change: (target) => void arrays.get(target)!.array.addVolume({ size: '1MiB' }),
      exchange(target, info) {
        const { array } = arrays.get(target)!
        const { volumes } = array
        array.reuseLun(portOf(info as never), Number(info.lun), volumes.find(({ id }) => id !== info.volume)!.id)
      },
      hang: (path) => latest.hang(portOf(path)),
      release: (path) => latest.release(portOf(path)),
      kill: (target) => (target as MemoryTarget).kill(),
      heir: async (target) => memory({ array: arrays.get(target)!.array }, host),
      clock: host.clock,
    },
  ))
