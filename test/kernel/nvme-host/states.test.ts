import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { isOver, load } from '../judges/load.ts'
import { openBed, spread } from './bed.ts'

test('native multipath sees every ANA state, and its change, at once', async () => {
  await using bed = await openBed()
  assert.deepEqual(bed.access(), ['optimized', 'optimized'])
  for (const [access, word] of [
    ['non-optimized', 'non-optimized'],
    ['standby', 'inaccessible'],
    ['unavailable', 'persistent-loss'],
    ['transitioning', 'change'],
    ['optimized', 'optimized'],
  ] as const) {
    bed.storage.setAccess(0, { port: 1 }, access)
    await until(`the kernel knows that the path is ${access}`, () => bed.access().join() === `optimized,${word}`)
  }
  assert.deepEqual(bed.array.violations, [])
})

test('fio verify goes on while the array moves a volume from port to port', async () => {
  await using bed = await openBed()
  const work = load(bed.node())
  let at = 0
  while (!(await isOver(work))) {
    const [better, worse] = [at % 2, 1 - (at % 2)]
    const word = at % 4 < 2 ? 'non-optimized' : 'inaccessible'
    bed.storage.setAccess(0, { port: better }, 'optimized')
    bed.storage.setAccess(0, { port: worse }, at % 4 < 2 ? 'non-optimized' : 'standby')
    await until('the kernel knows it', () => bed.access()[better] === 'optimized' && bed.access()[worse] === word)
    at++
  }
  await work.done
  assert.ok(at > 1, 'it hardly moved')
  assert.deepEqual(bed.array.violations, [])
})

test('round robin uses both ports', async () => {
  await using bed = await openBed({ array: { log: true } })
  spread(bed)
  await load(bed.node(), { size: '4m' }).done
  const ports = bed.array.log.filter(({ queue }) => queue > 0).map(({ port }) => port)
  for (const port of [0, 1]) assert.ok(ports.filter((each) => each === port).length > ports.length / 4)
  assert.deepEqual(bed.array.violations, [])
})
