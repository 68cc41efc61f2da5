import type { Path } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import type { KillableHost } from '@blockbraid/testkit'
import { killableHost, targetSuite } from '@blockbraid/testkit'
import { describe, it } from 'vitest'
import type { Rig } from './rig.ts'
import { rig } from './rig.ts'

const rigs = new WeakMap<object, Rig>()
const processes = new WeakMap<object, KillableHost>()
let newest: Rig | undefined

function portOf({ id }: Path): number {
  return newest!.array.ports.findIndex(({ address }) => id.includes(`/${address}/`))
}

describe('what a process that was killed has left', () =>
  targetSuite(
    { describe, it },
    {
      async open() {
        const made = await rig({ memory: { volumes: [{ size: '1MiB' }, { size: '1MiB' }], ports: 3 } })
        newest = made
        const process = killableHost(systemHost)
        const target = made.host({}, process)
        rigs.set(target, made)
        processes.set(target, process)
        return target
      },
      has: { changed: false, exchange: false, fence: true },
      expect: { volumes: 2, paths: 6 },
      hang: (path) => newest!.hold(portOf(path)),
      release: (path) => newest!.release(portOf(path)),
      kill: (target) => processes.get(target)!.kill(),
      heir: async (target) => rigs.get(target)!.host(),
    },
  ))
