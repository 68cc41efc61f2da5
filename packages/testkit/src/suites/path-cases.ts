import type { BlockDevice, Path } from '@blockbraid/core'
import { describeStatus, IoOp, isPathError, isVolumeId, NOT_EXECUTED, OK } from '@blockbraid/core'
import { pattern } from '../data/pattern.ts'
import type { SuiteCase } from '../harness/runner.ts'
import type { Submitted } from '../harness/scope.ts'
import {
  awaiting,
  check,
  describeIo,
  ending,
  errorOf,
  flush,
  mustBeOk,
  read,
  sameBytes,
  submit,
  turns,
  write,
} from '../harness/scope.ts'
import type { PathCapabilities, PathScope } from './path-scope.ts'

type PathCase = SuiteCase<PathCapabilities, PathScope>

const canWrite = (has: PathCapabilities): boolean => has.readOnly !== true

/** Data of the first 8 blocks, as generation `generation` wrote it. */
function data(device: BlockDevice, generation: number): Buffer {
  return pattern(8 * device.limits.blockSize, { seed: 90, offset: 0, generation })
}

/** Puts Ios in flight on a path that hangs. */
function load(t: PathScope, path: Path, count = 8): Submitted[] {
  const { blockSize } = path.limits
  return Array.from({ length: count }, (_, index) => {
    const op = index % 2 === 0 && canWrite(t.has) ? IoOp.Write : IoOp.Read
    return submit(t, path, { op, offset: index * blockSize, buffers: [Buffer.alloc(blockSize)] })
  })
}

async function mustBePathErrors(t: PathScope, running: readonly Submitted[], when: string): Promise<void> {
  for (const { io, status } of running) {
    const outcome = await awaiting(t, `the end of a ${describeIo(io)} ${when}`, status)
    check(isPathError(outcome), `${describeIo(io)} ${when} ended with ${describeStatus(outcome)}, not with PATH_ERROR`)
  }
}

/** Counts `down` events, and the Ios that were not done when the first one came. */
function watchDown(path: Path, running: () => readonly Submitted[]) {
  const seen = { count: 0, open: 0, reason: undefined as Error | undefined }
  const first = new Promise<void>((resolve) => {
    path.events.on('down', (reason) => {
      if (seen.count === 0) seen.open = running().filter(({ calls }) => calls === 0).length
      seen.count++
      seen.reason = reason
      resolve()
    })
  })
  return { seen, first }
}

/** A write that the array holds must not land after the path was closed and another path has written. */
async function fenceHolds(t: PathScope, fail: (path: Path) => Promise<void>): Promise<void> {
  const path = await t.open()
  const other = await t.second(path)
  await write(t, path, 0, data(path, 1))
  await t.faults.hang(path)
  const late = submit(t, path, { op: IoOp.Write, buffers: [data(path, 2)] })
  await turns()
  await fail(path)
  await awaiting(t, 'close of a path that hangs', path.close())
  check(late.calls === 1, 'a write in flight was not done when close settled')
  await write(t, other, 0, data(path, 3))
  await awaiting(t, 'the hook release', Promise.resolve(t.faults.release(path)))
  await turns()
  sameBytes(await read(t, other, 0, data(path, 3).length), data(path, 3), 'what was written after the fence')
}

/** Cases that hold for a path beyond those of a block device. */
export const pathCases: readonly PathCase[] = [
  {
    title: 'capabilities: activate is there if has says so, and the volume has a well-formed identity',
    async run(t) {
      const path = await t.open()
      const there = typeof path.activate === 'function'
      check(there === t.has.activate, `activate is ${there ? 'there' : 'missing'}, has.activate is ${t.has.activate}`)
      check(isVolumeId(path.volume), `volume identity ${path.volume} is not in its canonical form`)
      check(path.id !== '', 'the id is empty')
    },
  },
  {
    title: 'identity: a second path to the volume has its identity and shows its bytes',
    async run(t) {
      const path = await t.open()
      const other = await t.second(path)
      check(other.volume === path.volume, `${other.volume} instead of ${path.volume}`)
      check(other.id !== path.id, `both paths are called ${path.id}`)
      if (!canWrite(t.has)) return
      await write(t, path, 0, data(path, 1))
      await flush(t, path)
      sameBytes(await read(t, other, 0, data(path, 1).length), data(path, 1), 'the second path')
    },
  },
  {
    title: 'rule 8: on a path whose port died, Ios in flight and later ones end with PATH_ERROR',
    async run(t) {
      const path = await t.open()
      const { first } = watchDown(path, () => [])
      await t.faults.hang(path)
      const running = load(t, path)
      await turns()
      await t.faults.kill(path)
      await mustBePathErrors(t, running, 'in flight when the port died')
      await awaiting(t, 'the event down', first)
      await mustBePathErrors(t, load(t, path, 2), 'submitted after down')
    },
  },
  {
    title: 'rule 8: a medium error carries no PATH_ERROR, is the same on every path, and ends no path',
    when: (has) => has.mediumErrors,
    async run(t) {
      const path = await t.open()
      const other = await t.second(path)
      const { blockSize } = path.limits
      const { seen } = watchDown(path, () => [])
      await t.faults.breakMedium!(path, 4 * blockSize, blockSize)
      for (const each of [path, other]) {
        const broken = { op: IoOp.Read, offset: 4 * blockSize, buffers: [Buffer.alloc(blockSize)] }
        const status = await ending(t, each, broken)
        check(status !== OK, 'the broken block was read')
        check(!isPathError(status), `a medium error ended with ${describeStatus(status)}`)
        await read(t, each, 5 * blockSize, blockSize)
      }
      check(seen.count === 0, 'a medium error took the path down')
    },
  },
  {
    title: 'rule 8: Ios on a standby path end with PATH_ERROR; with NOT_EXECUTED they change nothing',
    when: (has) => has.access && canWrite(has),
    async run(t) {
      const path = await t.open()
      const other = await t.second(path)
      await write(t, other, 0, data(path, 1))
      await t.faults.setAccess!(path, 'standby')
      const status = await ending(t, path, { op: IoOp.Write, buffers: [data(path, 2)] })
      check(isPathError(status), `a write through standby ended with ${describeStatus(status)}`)
      await t.faults.setAccess!(path, 'optimized')
      await turns()
      const left = await read(t, other, 0, data(path, 1).length)
      if ((status & NOT_EXECUTED) !== 0) sameBytes(left, data(path, 1), 'after a write that was not executed')
      await write(t, path, 0, data(path, 3))
    },
  },
  {
    title: 'rule 9: close ends Ios in flight with PATH_ERROR, without waiting for the array',
    async run(t) {
      const path = await t.open()
      await t.faults.hang(path)
      const running = load(t, path)
      await turns()
      const end = path.close()
      await mustBePathErrors(t, running, 'in flight on close')
      await awaiting(t, 'close', end)
    },
  },
  {
    title: 'rule 9: when close has settled, no write sent before can change data',
    when: canWrite,
    run: (t) => fenceHolds(t, async () => {}),
  },
  {
    title: 'rule 9: nor after the port died and the path went down first',
    when: canWrite,
    run: (t) =>
      fenceHolds(t, async (path) => {
        const { first } = watchDown(path, () => [])
        await t.faults.kill(path)
        await awaiting(t, 'the event down', first)
      }),
  },
  {
    title: 'rule 10: down is emitted once, after every Io in flight is done',
    async run(t) {
      const path = await t.open()
      await t.faults.hang(path)
      const running = load(t, path)
      const { seen, first } = watchDown(path, () => running)
      await turns()
      await t.faults.kill(path)
      await awaiting(t, 'the event down', first)
      check(seen.open === 0, `${seen.open} Ios were in flight when down was emitted`)
      check(seen.reason instanceof Error, 'down came without a reason')
      await mustBePathErrors(t, load(t, path, 2), 'submitted after down')
      await awaiting(t, 'close of a path that is down', path.close())
      await turns()
      check(seen.count === 1, `down was emitted ${seen.count} times`)
    },
  },
  {
    title: 'rule 10: down is not emitted after close was called',
    async run(t) {
      const path = await t.open()
      const { seen } = watchDown(path, () => [])
      await t.faults.hang(path)
      load(t, path)
      await turns()
      const end = path.close()
      await t.faults.kill(path)
      await awaiting(t, 'close', end)
      await turns()
      check(seen.count === 0, 'down was emitted after close')
    },
  },
  {
    title: 'ping: it is there if has says so, and a path that works answers all who ask at once',
    when: (has) => has.ping !== undefined,
    async run(t) {
      const path = await t.open()
      const there = typeof path.ping === 'function'
      check(there === t.has.ping, `ping is ${there ? 'there' : 'missing'}, has.ping is ${t.has.ping}`)
      if (!there) return
      await awaiting(t, 'three pings at once', Promise.all([path.ping!(), path.ping!(), path.ping!()]))
    },
  },
  {
    title: 'ping: it rejects where the signal has fired, when the path went down, and when it was closed',
    when: (has) => has.ping === true,
    async run(t) {
      const path = await t.open()
      const other = await t.second(path)
      const fired = await errorOf(t, 'ping with a signal that has fired', () =>
        path.ping!({ signal: AbortSignal.abort() }),
      )
      check(fired !== undefined, 'ping settled with a signal that has fired')
      const { first } = watchDown(path, () => [])
      await t.faults.kill(path)
      await awaiting(t, 'the event down', first)
      check(
        (await errorOf(t, 'ping of a path that is down', () => path.ping!())) !== undefined,
        'it answered when down',
      )
      await awaiting(t, 'close', other.close())
      check((await errorOf(t, 'ping of a closed path', () => other.ping!())) !== undefined, 'it answered when closed')
    },
  },
  {
    title: 'ping: a path through which nothing comes back does not answer, and the signal ends the question',
    when: (has) => has.ping === true && has.dark === true,
    async run(t) {
      const path = await t.open()
      await t.faults.dark!(path)
      const stop = new AbortController()
      let asked: Promise<boolean>
      let answered: boolean
      // What came a moment ago may be an answer.
      do {
        answered = false
        asked = path.ping!({ signal: stop.signal }).then(
          () => (answered = true),
          () => false,
        )
        await awaiting(t, 'a ping without an answer', turns())
      } while (answered && !t.ended)
      stop.abort()
      check(!(await awaiting(t, 'the end of a ping whose signal fires', asked)), 'a ping was answered by its signal')
    },
  },
  {
    title: 'limits: growth is emitted, limits have it by then, and the new blocks work',
    when: (has) => has.grow,
    async run(t) {
      const path = await t.open()
      const before = path.limits
      const { size, blockSize } = before
      const wanted = size + 16 * blockSize
      const told = new Promise<string>((resolve) => {
        path.events.once('limits', (limits) => resolve(`${limits.size} and ${path.limits.size}`))
      })
      await t.faults.grow!(path, wanted)
      const seen = await awaiting(t, 'the event limits', told)
      check(seen === `${wanted} and ${wanted}`, `event and limits say ${seen} instead of ${wanted}`)
      check(before.size === size, 'the old limits object was changed')
      if (!canWrite(t.has)) return
      const block = pattern(blockSize, { seed: 91, offset: size, generation: 1 })
      const { io, status } = submit(t, path, { op: IoOp.Write, offset: size, buffers: [block] })
      mustBeOk(io, await awaiting(t, 'a write to a new block', status))
      sameBytes(await read(t, path, size, blockSize), block, 'a new block')
    },
  },
]
