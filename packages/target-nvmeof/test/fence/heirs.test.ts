import { expect, test } from 'vitest'
import { parseFenceToken } from '../../src/place/fence-token.ts'
import { place, resetter } from './double.ts'
import { rig } from './rig.ts'

/** A token of a process that had a controller, and another process. */
async function scene(facts = {}) {
  const before = rig()
  const { association } = await before.at('a', { id: 5, trafficBased: true, ...facts })
  const left = parseFenceToken(before.all.tokenOf(association, 3))!
  return { ...rig((opened) => (opened.answers = resetter(before.host, 0).answers)), left }
}

type Scene = Awaited<ReturnType<typeof scene>>

/** One try after another, as core does; resolves to the seconds that it took, or to undefined after a minute. */
async function prove({ host, all, left }: Scene, tell = (_error: Error): void => {}): Promise<number | undefined> {
  const begun = host.clock.now()
  for (;;) {
    const proof = all.prove(left).then(
      () => true,
      (error) => {
        expect(error).toMatchObject({ code: 'CONNECT_FAILED' })
        tell(error)
        return false
      },
    )
    if (await host.clock.runUntil(proof)) return (host.clock.now() - begun) / 1e6
    if (host.clock.now() - begun > 60e6) return undefined
    await host.clock.advance(100)
  }
}

test('an heir resets the controller through any association of the same host', async () => {
  const made = await scene()
  const { association } = await made.at('b', { id: 6, crossResets: 1 })
  association.answers = resetter(made.host, 200).answers
  expect(await prove(made)).toBeLessThan(1)
})

test('where it has none, it opens one as that host', async () => {
  const made = await scene()
  const { shared } = await made.at('a', { id: 6, crossResets: 1 }, { subNqn: 'nqn.2026-11.io.blockbraid:elsewhere' })
  shared.release()
  await made.host.clock.advance(1000)
  const proof = prove(made)
  await made.host.clock.runUntil(() => made.opened.length === 2)
  const own = made.opened[1]!
  expect(await proof).toBeLessThan(1)
  expect(own.place).toMatchObject(made.left.place)
  // And gives it back.
  await made.host.clock.advance(1000)
  expect(own.closed).toBe(1)
})

test('else time counts from when it asked first, and people hear how long it will be', async () => {
  const made = await scene({ keepAliveTimeout: 5000, quiesceTime: 1000 })
  const told: string[] = []
  const seconds = await prove(made, ({ message }) => told.push(message))
  // Three periods and the quiesce time, and up to a pause between two tries more.
  expect(seconds).toBeGreaterThan(16)
  expect(seconds).toBeLessThan(17)
  expect(told).toEqual([`controller 5 of ${place.subNqn} at a:4420 may go on for 7 s until it misses its host`])
})

test('no time ends a controller that watches nobody', async () => {
  const made = await scene({ keepAliveTimeout: 0 })
  const told = new Set<string>()
  expect(await prove(made, ({ message }) => told.add(message))).toBeUndefined()
  expect([...told].join()).toMatch(/KATO 0/)
})

test('who ends does not claim a proof', async () => {
  const made = await scene()
  const proof = made.all.prove(made.left)
  const refused = expect(proof).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
  await made.all.close()
  await refused
})

test('one of Linux has ended when it is forgotten, or its number was given to another', async () => {
  const made = await scene({ model: 'Linux' })
  let forgotten = false
  made.forgets = () => Promise.resolve(forgotten)
  const proof = prove(made)
  await made.host.clock.advance(40_000)
  expect(made.host.clock.now()).toBeGreaterThanOrEqual(40e6)
  forgotten = true
  expect(await proof).toBeGreaterThan(39)
  const again = await scene({ model: 'Linux' })
  again.forgets = () => Promise.resolve(false)
  await again.at('a', { id: 5 })
  expect(await prove(again)).toBe(0)
})
