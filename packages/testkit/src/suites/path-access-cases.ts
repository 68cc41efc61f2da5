import type { SuiteCase } from '../harness/runner.ts'
import { awaiting, check, turns } from '../harness/scope.ts'
import type { PathCapabilities, PathScope } from './path-scope.ts'

/** Which ports of the array hosts shall use, as a path tells it. */
export const pathAccessCases: readonly SuiteCase<PathCapabilities, PathScope>[] = [
  {
    title: 'access: a change is emitted, and access has it by then',
    when: (has) => has.access,
    async run(t) {
      const path = await t.open()
      for (const wanted of ['non-optimized', 'standby', 'optimized'] as const) {
        const told = new Promise<string>((resolve) => {
          path.events.once('access', (access) => resolve(`${access}, with path.access ${path.access}`))
        })
        await t.faults.setAccess!(path, wanted)
        const seen = await awaiting(t, `the event access with ${wanted}`, told)
        check(seen === `${wanted}, with path.access ${wanted}`, `wanted ${wanted}, told ${seen}`)
      }
    },
  },
  {
    title: 'access: activate makes the path optimized',
    when: (has) => has.access && has.activate,
    async run(t) {
      const path = await t.open()
      await t.faults.setAccess!(path, 'non-optimized')
      await turns()
      await awaiting(t, 'activate', path.activate!())
      await turns()
      check(path.access === 'optimized', `after activate the path is ${path.access}`)
    },
  },
  {
    title: 'access: whether the port is preferred is emitted as a change of access, and preferred has it by then',
    when: (has) => has.preferred === true,
    async run(t) {
      const path = await t.open()
      for (const wanted of [true, false] as const) {
        const told = new Promise<string>((resolve) => {
          path.events.once('access', () => resolve(`${path.preferred === true}, ${path.access}`))
        })
        await t.faults.setPreferred!(path, wanted)
        const seen = await awaiting(t, `the event access with preferred ${wanted}`, told)
        check(seen === `${wanted}, optimized`, `wanted ${wanted} of an optimized path, told ${seen}`)
      }
    },
  },
]
