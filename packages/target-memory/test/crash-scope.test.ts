import { IoFlag, IoOp, NO_BUFFERS } from '@blockbraid/core'
import { expect, it } from 'vitest'
import { crashImage, loseCache } from '../src/crash-image.ts'
import { Journal } from '../src/journal.ts'
import { lostWrites } from '../src/lost-writes.ts'
import { resolveVolume } from '../src/options.ts'
import { Volume } from '../src/volume.ts'
import { block } from './helpers.ts'

// Every sequence of operations on one block, up to a length, with every choice of a power loss.
const LENGTH = 5
const FOREIGN = 9
const BLOCK = 512

const filled = Array.from({ length: FOREIGN + 1 }, (_, value) => block(value, BLOCK))

const steps = [
  'write',
  'write fua',
  'zeroes',
  'zeroes fua',
  'trim',
  'trim fua',
  'flush',
  'lost write',
  'power loss',
] as const
type Step = (typeof steps)[number]

const opOf = (step: Step): IoOp => {
  if (step.startsWith('zeroes')) return IoOp.WriteZeroes
  if (step.startsWith('trim')) return IoOp.Trim
  return step === 'flush' ? IoOp.Flush : IoOp.Write
}

/** Does the steps; `random` decides what each power loss keeps. */
function play(sequence: readonly Step[], random: () => number): { journal: Journal; volume: Volume } {
  const volume = new Volume(0, resolveVolume('volume', { size: 1024, blockSize: 512 }, 'array0', 0))
  const journal = new Journal()
  for (const [number, step] of sequence.entries()) {
    if (step === 'power loss') {
      loseCache(journal.entries, volume, random)
      continue
    }
    const op = opOf(step)
    const request = {
      op,
      flags: step.endsWith('fua') ? IoFlag.Fua : 0,
      offset: 0,
      length: op === IoOp.Flush ? 0 : BLOCK,
      buffers: op === IoOp.Write ? [filled[number + 1]!] : NO_BUFFERS,
      submitted: journal.tick(),
    }
    volume.perform(request)
    const entry = journal.executed(request, volume, 0, 1)
    // One whose answer never came: a flush says nothing about it.
    if (step !== 'lost write') journal.answered(entry)
  }
  return { journal, volume }
}

/** Runs `attempt` once for each way that its random numbers can come out, as halves. */
function everyWay(attempt: (random: () => number) => void): void {
  const ways: boolean[][] = [[]]
  for (let way = ways.pop(); way !== undefined; way = ways.pop()) {
    const script = way
    let at = 0
    attempt(() => {
      if (at === script.length) {
        script.push(false)
        ways.push([...script.slice(0, at), true])
      }
      return script[at++] === true ? 0.9 : 0.1
    })
  }
}

/** Whether a trim may be the last of what counts. */
function undefinedAfter(sequence: readonly Step[]): boolean {
  let trimmed = false
  let pending = false
  for (const step of sequence) {
    if (step === 'power loss') trimmed = pending = false
    else if (step === 'flush') trimmed = pending
    else if (step.startsWith('trim')) trimmed = pending = true
    else {
      pending = step === 'lost write' ? pending : false
      trimmed = step.endsWith('fua') ? false : trimmed
    }
  }
  return trimmed
}

// The longest go without the two that differ from others only in what they write, for the time it takes.
const fewer = steps.filter((step) => step !== 'zeroes fua' && step !== 'trim fua')

function* sequences(length: number, of: readonly Step[]): Generator<Step[]> {
  if (length === 0) {
    yield []
    return
  }
  for (const begun of sequences(length - 1, of)) for (const step of of) yield [...begun, step]
}

function check(sequence: readonly Step[]): number {
  // By what the power losses inside have left: what stands after one more, by choice.
  const outcomes = new Map<number, { found: Set<number>; lost(value: number): number }>()
  let branches = 0
  everyWay((random) => {
    branches++
    const { journal, volume } = play(sequence, random)
    const start = volume.base.store.views(0, 1)[0]![0]!
    const image = crashImage(journal.entries, volume, random)
    const lost = lostWrites(journal.entries, volume, image)
    if (lost.length > 0) throw new Error(`false alarm after ${sequence.join(', ')}: ${lost[0]}`)
    const branch = outcomes.get(start) ?? {
      found: new Set(),
      lost: (value) => lostWrites(journal.entries, volume, { read: () => filled[value]! }).length,
    }
    branch.found.add(image.read(0, 1)[0]!)
    outcomes.set(start, branch)
  })
  const touched = sequence.some((step) => step !== 'flush' && step !== 'power loss')
  const anything = !touched || undefinedAfter(sequence)
  for (const [start, { found, lost }] of outcomes) {
    for (const value of [0, ...sequence.map((_step, number) => number + 1), FOREIGN]) {
      const wanted = anything || found.has(value) ? 0 : 1
      if (lost(value) === wanted) continue
      const after = `after ${sequence.join(', ')}${sequence.includes('power loss') ? `, which left ${start}` : ''}`
      throw new Error(
        `${after} the block may hold ${[...found].join(' or ')}; ${value} is ${wanted ? 'not caught' : 'refused'}`,
      )
    }
  }
  return branches
}

it(`allows exactly what a power loss can leave, after every ${LENGTH} operations on a block`, () => {
  let branches = 0
  for (let length = 0; length <= LENGTH; length++) {
    for (const sequence of sequences(length, length === LENGTH ? fewer : steps)) branches += check(sequence)
  }
  expect(branches).toBeGreaterThan(50_000)
}, 120_000)
