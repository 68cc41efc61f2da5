import type { BlockDevice, Path, PathInfo, Target } from '@blockbraid/core'
import { errnoOf, Io, IoOp, isVolumeId } from '@blockbraid/core'
import { pattern } from '../data/pattern.ts'
import type { CaseFrame, SuiteCase, SuiteRunner, SuiteTiming } from '../harness/runner.ts'
import { registerCases } from '../harness/runner.ts'
import type { Scope } from '../harness/scope.ts'
import {
  awaiting,
  check,
  closing,
  ending,
  flush,
  read,
  rejectedWith,
  sameBytes,
  scopeFrame,
  submit,
  turns,
  write,
} from '../harness/scope.ts'

/** What a target says it can do, and what its author can do to it. */
export interface TargetCapabilities {
  /** Whether its volumes refuse writes; default false. */
  readOnly?: boolean
  /** Whether it emits `changed`, and the author gives a `change` hook. */
  changed: boolean
  /** Whether the author gives an `exchange` hook. */
  exchange: boolean
  /**
   * Whether it has `fence`, its paths have a `fenceToken`, and the author gives `hang`, `release`, `kill` and `heir`.
   * Left out: that is not looked at.
   */
  fence?: boolean
}

/** What a discovery must find. */
export interface TargetContents {
  /** Volumes, over all paths. */
  volumes: number
  /** Paths, over all volumes. */
  paths: number
}

/** What {@link targetSuite} needs. */
export interface TargetSuiteOptions extends SuiteTiming {
  /** Gives a new target before an array that shares nothing with earlier ones. */
  open(): Promise<Target>
  /** Its capability manifest. */
  has: TargetCapabilities
  /** What there is to be discovered: at least two volumes, with at least two paths each. */
  expect: TargetContents
  /** Adds or removes a volume or a path, so that discovery finds another list. */
  change?(target: Target): void | Promise<void>
  /** Lets the address of this path lead to another volume. */
  exchange?(target: Target, info: PathInfo): void | Promise<void>
  /** Commands sent through the path from now on are held by the array. */
  hang?(path: Path): void | Promise<void>
  /** Runs what the array still holds of that path; settles when it has. */
  release?(path: Path): void | Promise<void>
  /** The process that has the target is killed: the array hears nothing of it, and it never answers again. */
  kill?(target: Target): void | Promise<void>
  /** Gives the target of another process, of the same host, before the same array. */
  heir?(target: Target): Promise<Target>
}

interface TargetScope extends Scope {
  readonly options: TargetSuiteOptions
  open(): Promise<Target>
}

type TargetCase = SuiteCase<TargetCapabilities, TargetScope>

function targetFrame(options: TargetSuiteOptions): CaseFrame<TargetScope> {
  return {
    ...scopeFrame,
    begin() {
      const scope: TargetScope = {
        ...scopeFrame.begin(),
        options,
        open: async () => closing(scope, await awaiting(scope, 'open', options.open())),
      }
      return scope
    },
  }
}

const discover = (t: Scope, target: Target): Promise<readonly PathInfo[]> => awaiting(t, 'discover', target.discover())

const connect = async (t: Scope, target: Target, info: PathInfo): Promise<Path> =>
  closing(t, await awaiting(t, `connect to ${info.id}`, target.connect(info)))

const ids = (list: readonly PathInfo[]): string =>
  list
    .map(({ id }) => id)
    .toSorted()
    .join(', ')

function data(device: BlockDevice, seed: number): Buffer {
  return pattern(4 * device.limits.blockSize, { seed, offset: 0, generation: 1 })
}

const canWrite = (has: TargetCapabilities): boolean => has.readOnly !== true

/** Leaves a write of a process that is killed in the array; `meet` gets what the next process needs to meet it. */
async function leaveWrite(
  t: TargetScope,
  meet: (heir: Target, token: string, other: Path) => Promise<void>,
): Promise<void> {
  const { hang, release, kill, heir: next } = t.options
  const target = await awaiting(t, 'open', t.options.open())
  const [info] = await discover(t, target)
  const path = await awaiting(t, `connect to ${info!.id}`, target.connect(info!))
  const token = path.fenceToken
  check(token !== undefined, 'the path has no fenceToken, has.fence is true')
  await write(t, path, 0, data(path, 1))
  await awaiting(t, 'the hook hang', Promise.resolve(hang!(path)))
  // Nobody answers a process that was killed: it is not among the Ios that must be done.
  const late = new Io()
  Object.assign(late, { op: IoOp.Write, buffers: [data(path, 2)], length: data(path, 2).length, done() {} })
  path.submit(late)
  await turns()
  await awaiting(t, 'the hook kill', Promise.resolve(kill!(target)))
  const heir = closing(t, await awaiting(t, 'the hook heir', next!(target)))
  const others = (await discover(t, heir)).filter(({ id, volume }) => volume === info!.volume && id !== info!.id)
  const other = await connect(t, heir, others[0]!)
  await meet(heir, token, other)
  await awaiting(t, 'the hook release', Promise.resolve(release!(path)))
  await turns()
  sameBytes(await read(t, other, 0, data(other, 3).length), data(other, 3), 'what was written after the fence')
}

const cases: readonly TargetCase[] = [
  {
    title: 'discover: every path of every volume is listed once, under a stable id',
    async run(t) {
      const target = await t.open()
      const first = await discover(t, target)
      const { volumes, paths } = t.options.expect
      check(first.length === paths, `${first.length} paths are listed, ${paths} expected`)
      const found = new Set(first.map(({ volume }) => volume)).size
      check(found === volumes, `${found} volumes are listed, ${volumes} expected`)
      check(new Set(first.map(({ id }) => id)).size === paths, `ids are not unique: ${ids(first)}`)
      const second = await discover(t, target)
      check(ids(second) === ids(first), `a second discover gives other ids: ${ids(second)} after ${ids(first)}`)
    },
  },
  {
    title: 'discover: each path is described with identity, size and block size',
    async run(t) {
      const target = await t.open()
      check(target.name !== '', 'the target has no name')
      for (const { id, address, volume, size, blockSize } of await discover(t, target)) {
        check(isVolumeId(volume), `${id}: volume identity ${volume} is not in its canonical form`)
        check(address !== '', `${id} has no address`)
        check(blockSize >= 512 && size > 0 && size % blockSize === 0, `${id}: size ${size}, block size ${blockSize}`)
      }
    },
  },
  {
    title: 'connect: every path that is listed opens, as it was described',
    async run(t) {
      const target = await t.open()
      for (const info of await discover(t, target)) {
        const { id, volume, limits } = await connect(t, target, info)
        check(id === info.id, `the path to ${info.id} calls itself ${id}`)
        check(volume === info.volume, `${id} leads to ${volume} instead of ${info.volume}`)
        const right = limits.size === info.size && limits.blockSize === info.blockSize
        check(right, `${id} has ${limits.size} bytes in blocks of ${limits.blockSize}, unlike its description`)
      }
    },
  },
  {
    title: 'connect: paths of one volume show the same bytes, paths of others do not',
    when: canWrite,
    async run(t) {
      const target = await t.open()
      const list = await discover(t, target)
      const paths = new Map<PathInfo, Path>()
      for (const info of list) paths.set(info, await connect(t, target, info))
      const volumes = [...new Set(list.map(({ volume }) => volume))]
      for (const [index, volume] of volumes.entries()) {
        const path = paths.get(list.find((info) => info.volume === volume)!)!
        await write(t, path, 0, data(path, 100 + index))
        await flush(t, path)
      }
      for (const [info, path] of paths) {
        const wanted = data(path, 100 + volumes.indexOf(info.volume))
        sameBytes(await read(t, path, 0, wanted.length), wanted, `${info.id}, which leads to ${info.volume},`)
      }
    },
  },
  {
    title: 'connect: a path that was closed can be opened again',
    async run(t) {
      const target = await t.open()
      const [info] = await discover(t, target)
      for (let round = 0; round < 3; round++) {
        const path = await connect(t, target, info!)
        await read(t, path, 0, path.limits.blockSize)
        await awaiting(t, 'close', path.close())
      }
    },
  },
  {
    title: 'identity: connect refuses a path to another volume than the one asked for',
    async run(t) {
      const target = await t.open()
      const [info] = await discover(t, target)
      const other: PathInfo = { ...info!, volume: 'naa.6fedcba9876543210fedcba987654321' }
      await rejectedWith(t, 'connect with another identity', () => target.connect(other), ['IDENTITY_CHANGED'])
    },
  },
  {
    title: 'identity: connect refuses an address that leads to another volume since discovery',
    when: (has) => has.exchange,
    async run(t) {
      const target = await t.open()
      const [info] = await discover(t, target)
      await awaiting(t, 'the hook exchange', Promise.resolve(t.options.exchange!(target, info!)))
      await rejectedWith(t, 'connect to an exchanged volume', () => target.connect(info!), ['IDENTITY_CHANGED'])
    },
  },
  {
    title: 'changed: it is emitted when volumes come or go, and discovery then finds another list',
    when: (has) => has.changed,
    async run(t) {
      const target = await t.open()
      check(target.events !== undefined, 'the target has no events, has.changed is true')
      const before = await discover(t, target)
      const told = new Promise<string>((resolve) => target.events!.once('changed', resolve))
      await t.options.change!(target)
      await awaiting(t, 'the event changed', told)
      const after = await discover(t, target)
      check(ids(after) !== ids(before), 'discovery finds the same list after the change')
    },
  },
  {
    title: 'fence: it is there if has says so, and then each path has a token',
    async run(t) {
      const target = await t.open()
      const wanted = t.options.has.fence
      if (wanted === undefined) return
      check((target.fence !== undefined) === wanted, `fence is ${wanted ? 'missing' : 'there, and has.fence is not'}`)
      if (!wanted) return
      for (const info of await discover(t, target)) {
        const { fenceToken } = await connect(t, target, info)
        check(typeof fenceToken === 'string' && fenceToken !== '', `${info.id} has no fenceToken, has.fence is true`)
      }
    },
  },
  {
    title: 'fence: after it, no write of a process that was killed can change data (rule 9)',
    when: (has) => has.fence === true && canWrite(has),
    run: (t) =>
      leaveWrite(t, async (heir, token, other) => {
        await awaiting(t, 'fence', heir.fence!(token))
        await write(t, other, 0, data(other, 3))
      }),
  },
  {
    title: 'fence: a second fence of the same token succeeds, and paths of the living go on',
    when: (has) => has.fence === true && canWrite(has),
    run: (t) =>
      leaveWrite(t, async (heir, token, other) => {
        await awaiting(t, 'fence', heir.fence!(token))
        await awaiting(t, 'a second fence', heir.fence!(token))
        await write(t, other, 0, data(other, 3))
      }),
  },
  {
    title: 'fence: a token of another kind of target is refused with NOT_SUPPORTED',
    when: (has) => has.fence === true,
    async run(t) {
      const target = await t.open()
      for (const token of ['', 'unknown:nowhere', '{}']) {
        await rejectedWith(t, `fence of ${JSON.stringify(token)}`, () => target.fence!(token), ['NOT_SUPPORTED'])
      }
    },
  },
  {
    title: 'fence: rule 12: a signal that has fired ends it with ABORTED; after close it ends with CLOSED',
    when: (has) => has.fence === true,
    async run(t) {
      const target = await t.open()
      const [info] = await discover(t, target)
      const token = (await connect(t, target, info!)).fenceToken!
      const signal = AbortSignal.abort()
      await rejectedWith(t, 'fence with a fired signal', () => target.fence!(token, { signal }), ['ABORTED'])
      await awaiting(t, 'close', target.close())
      await rejectedWith(t, 'fence after close', () => target.fence!(token), ['CLOSED'])
    },
  },
  {
    title: 'rule 12: discover and connect with a signal that has fired end with ABORTED',
    async run(t) {
      const target = await t.open()
      const [info] = await discover(t, target)
      const signal = AbortSignal.abort()
      await rejectedWith(t, 'discover with a fired signal', () => target.discover({ signal }), ['ABORTED'])
      await rejectedWith(t, 'connect with a fired signal', () => target.connect(info!, { signal }), ['ABORTED'])
    },
  },
  {
    title: 'rule 12: a signal that fires after connect has settled does not touch the path',
    async run(t) {
      const target = await t.open()
      const [info] = await discover(t, target)
      const abort = new AbortController()
      const path = closing(t, await awaiting(t, 'connect', target.connect(info!, { signal: abort.signal })))
      abort.abort()
      await turns()
      await read(t, path, 0, path.limits.blockSize)
    },
  },
  {
    title: 'close: it ends the paths that are open, with every Io done, and may be called again',
    async run(t) {
      const target = await t.open()
      const [info] = await discover(t, target)
      const path = await connect(t, target, info!)
      const { blockSize } = path.limits
      const one = { op: IoOp.Read, buffers: [Buffer.alloc(blockSize)] }
      const running = submit(t, path, one)
      await awaiting(t, 'close', Promise.all([target.close(), target.close()]))
      check(running.calls === 1, 'an Io in flight was not done when close settled')
      const status = await ending(t, path, one)
      check(errnoOf(status) !== 0, 'a path of a closed target still serves')
    },
  },
  {
    title: 'close: discover and connect end with CLOSED afterwards',
    async run(t) {
      const target = await t.open()
      const [info] = await discover(t, target)
      await awaiting(t, 'close', target.close())
      await rejectedWith(t, 'discover after close', () => target.discover(), ['CLOSED'])
      await rejectedWith(t, 'connect after close', () => target.connect(info!), ['CLOSED'])
    },
  },
]

/** Proves that a target keeps the contract of Target. Its paths go through {@link pathSuite}. */
export function targetSuite(runner: SuiteRunner, options: TargetSuiteOptions): void {
  registerCases(runner, 'target', cases, options.has, targetFrame(options), options)
}
