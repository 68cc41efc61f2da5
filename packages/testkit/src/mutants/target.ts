import type { Path, PathInfo, Target } from '@blockbraid/core'
import { BlockError, Errno } from '@blockbraid/core'
import { forward } from '../doubles/forward.ts'
import type { Mutant } from '../harness/mutant.ts'
import type { TargetSuiteOptions } from '../suites/target.ts'

function front(target: Target, changes: Partial<Target>): Target {
  const { name, events } = target
  return {
    name,
    ...(events === undefined ? {} : { events }),
    discover: (options) => target.discover(options),
    connect: (info, options) => target.connect(info, options),
    close: (options) => target.close(options),
    ...(target.fence === undefined ? {} : { fence: (token, options) => target.fence!(token, options) }),
    ...changes,
  }
}

function mutant(
  breaks: string,
  name: string,
  breaking: (target: Target) => Partial<Target>,
): Mutant<TargetSuiteOptions> {
  return {
    name,
    breaks,
    apply(options) {
      const originals = new WeakMap<Target, Target>()
      const sound = (target: Target): Target => originals.get(target) ?? target
      const changed: TargetSuiteOptions = {
        ...options,
        async open() {
          const target = await options.open()
          const broken = front(target, breaking(target))
          originals.set(broken, target)
          return broken
        },
      }
      const { change, exchange, kill, heir } = options
      if (change !== undefined) changed.change = (target) => change(sound(target))
      if (kill !== undefined) changed.kill = (target) => kill(sound(target))
      if (heir !== undefined) {
        changed.heir = async (target) => {
          const next = await heir(sound(target))
          return front(next, breaking(next))
        }
      }
      if (exchange !== undefined) changed.exchange = (target, info) => exchange(sound(target), info)
      return changed
    },
  }
}

const listing =
  (change: (list: readonly PathInfo[], target: Target) => readonly PathInfo[]) =>
  (target: Target): Partial<Target> => ({ discover: async (options) => change(await target.discover(options), target) })

/** Asks for whatever volume is at the address now. */
async function connectToAnything(target: Target, info: PathInfo): Promise<Path> {
  const now = (await target.discover()).find(({ id }) => id === info.id)
  return forward<Path>(await target.connect(now ?? info), { volume: info.volume })
}

/** Opens the path to another volume under the id that was asked for. */
async function connectToOther(target: Target, info: PathInfo): Promise<Path> {
  const other = (await target.discover()).find(({ volume }) => volume !== info.volume)
  return forward<Path>(await target.connect(other ?? info), { id: info.id, volume: info.volume })
}

/** Broken targets, each of which {@link targetSuite} must catch. */
export const targetMutants: readonly Mutant<TargetSuiteOptions>[] = [
  mutant(
    'discover: every path',
    'leaves the last path out',
    listing((list) => list.slice(0, -1)),
  ),
  mutant(
    'discover: every path',
    'lists a path twice',
    listing((list) => [...list.slice(0, -1), list[0]!]),
  ),
  mutant('discover: every path', 'numbers its paths anew in each discovery', (target) => {
    let round = 0
    return listing((list) => list.map((info) => ({ ...info, id: `${info.id}#${round++}` })))(target)
  }),
  mutant(
    'discover: each path',
    'writes identities in capitals',
    listing((list) => list.map((info) => ({ ...info, volume: `naa.${'ABCDEF01'.repeat(4)}` }))),
  ),
  mutant('connect: every path', 'gives a path another id', (target) => ({
    connect: async (info, options) => forward<Path>(await target.connect(info, options), { id: 'path' }),
  })),
  mutant('connect: paths of one volume', 'mixes volumes up', (target) => ({
    connect: (info, options) => (info.lun === '0' ? connectToOther(target, info) : target.connect(info, options)),
  })),
  mutant('connect: a path that was closed', 'connects each path once only', (target) => {
    const used = new Set<string>()
    return {
      async connect(info, options) {
        if (used.has(info.id)) throw new BlockError('CONNECT_FAILED', 'in use')
        used.add(info.id)
        return target.connect(info, options)
      },
    }
  }),
  mutant('identity: connect refuses a path', 'does not compare identities', (target) => ({
    connect: (info, { signal } = {}) =>
      signal === undefined ? connectToAnything(target, info) : target.connect(info, { signal }),
  })),
  mutant('identity: connect refuses an address', 'trusts what discovery found', (target) => ({
    connect: (info, { signal } = {}) =>
      signal === undefined ? connectToAnything(target, info) : target.connect(info, { signal }),
  })),
  mutant('changed', 'does not tell of changes', (target) => ({
    events: { ...target.events!, once() {}, on() {} },
  })),
  mutant('changed', 'goes on listing what it found first', (target) => {
    let first: readonly PathInfo[] | undefined
    return {
      async discover(options) {
        first ??= await target.discover(options)
        return first
      },
    }
  }),
  mutant('fence: it is there', 'gives its paths no token', (target) => ({
    connect: async (info, options) => forward<Path>(await target.connect(info, options), { fenceToken: '' }),
  })),
  mutant('fence: after it', 'promises a fence and does nothing', () => ({ fence: async () => {} })),
  mutant('fence: a second fence', 'knows each token once', (target) => {
    const used = new Set<string>()
    return {
      async fence(token, options) {
        if (used.has(token)) throw new BlockError('NOT_SUPPORTED', 'unknown')
        used.add(token)
        return target.fence!(token, options)
      },
    }
  }),
  mutant('fence: a second fence', 'ends every path of its host', (target) => {
    const paths: Path[] = []
    return {
      async connect(info, options) {
        const path = await target.connect(info, options)
        paths.push(path)
        return path
      },
      async fence(token, options) {
        await target.fence!(token, options)
        for (const path of paths) await path.close()
      },
    }
  }),
  mutant('fence: a token of another kind', 'takes every token', (target) => ({
    fence: (token, options) => target.fence!(token, options).catch(() => {}),
  })),
  mutant('fence: rule 12', 'ignores signals', (target) => ({ fence: (token) => target.fence!(token) })),
  mutant('fence: rule 12', 'fences after close', (target) => ({
    fence: (token, options) =>
      target.fence!(token, options).catch((error: unknown) => {
        if ((error as BlockError).code !== 'CLOSED') throw error
      }),
  })),
  mutant('rule 12: discover and connect', 'ignores signals', (target) => ({
    discover: () => target.discover(),
    connect: (info) => target.connect(info),
  })),
  mutant('rule 12: a signal that fires after', 'closes a path when the signal of its connect fires', (target) => ({
    async connect(info, options) {
      const path = await target.connect(info, options)
      options?.signal?.addEventListener('abort', () => void path.close())
      return path
    },
  })),
  mutant('close: it ends the paths', 'leaves paths open', () => ({ close: async () => {} })),
  mutant('close: it ends the paths', 'refuses a second close', (target) => {
    let closed = false
    return {
      close(options) {
        if (closed) return Promise.reject(new BlockError('CLOSED', 'closed', { errno: Errno.EBUSY }))
        closed = true
        return target.close(options)
      },
    }
  }),
  mutant('close: discover and connect', 'discovers after close', (target) => ({
    discover: () => target.discover().catch(() => []),
  })),
]
