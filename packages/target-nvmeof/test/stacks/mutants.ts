import type { Path, Target } from '@blockbraid/core'
import type { Seams, Stack } from './world.ts'

/** A target whose paths settle `close` before anything is proven. */
function hasty(target: Target): Target {
  return {
    name: target.name,
    events: target.events!,
    discover: (options) => target.discover(options),
    connect: async (info, options) => withoutFence(await target.connect(info, options)),
    fence: (token, options) => target.fence!(token, options),
    close: (options) => target.close(options),
  }
}

function withoutFence(path: Path): Path {
  return Object.create(path, {
    access: { get: () => path.access },
    limits: { get: () => path.limits },
    events: { get: () => path.events },
    failure: { get: () => path.failure },
    fenceBy: { get: () => path.fenceBy },
    fencedBy: { get: () => undefined },
    submit: { value: (io: Parameters<Path['submit']>[0]) => path.submit(io) },
    ping: { value: path.ping?.bind(path) },
    lookAgain: { value: () => path.lookAgain?.() },
    activate: { value: path.activate?.bind(path) },
    close: {
      value: async () => {
        void path.close().catch(() => {})
      },
    },
  }) as Path
}

/** A target that takes what a process before has left for proven. */
function careless(target: Target): Target {
  return {
    name: target.name,
    events: target.events!,
    discover: (options) => target.discover(options),
    connect: (info, options) => target.connect(info, options),
    fence: async () => {},
    close: (options) => target.close(options),
  }
}

/** Fences that are broken, each of which schedules must find, and a seed that did so. */
export const mutants: readonly {
  readonly name: string
  readonly stack: Stack
  readonly seed: number
  readonly seams: Seams
}[] = [
  { name: 'an array that lets lost sessions live on', stack: 'iscsi', seed: 16, seams: { unfenced: true } },
  { name: 'an array whose resets end nothing', stack: 'nvme', seed: 28, seams: { unfenced: true } },
  { name: 'paths that are closed before the proof', stack: 'both', seed: 39, seams: { target: hasty } },
  { name: 'proofs that are not looked for after a crash', stack: 'iscsi', seed: 8, seams: { target: careless } },
]
