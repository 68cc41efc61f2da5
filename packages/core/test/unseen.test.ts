import { virtualHost } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { createHostAgent } from '../src/index.ts'
import { FakeTarget, VOLUME } from './support/fake-target.ts'

function setUp(targets: FakeTarget[]) {
  return createHostAgent({ targets, host: virtualHost(1) })
}

it('a path that nobody has seen is one of its volume, and no device of its own', async () => {
  const target = new FakeTarget(2)
  target.infos = target.infos.map((info, index) => (index === 1 ? { ...info, unseen: true } : info))
  const agent = setUp([target])
  await agent.rescan()
  const [first, second] = target.infos as [(typeof target.infos)[0], (typeof target.infos)[0]]
  expect(agent.devices().map(({ kind, paths }) => [kind, paths])).toEqual([
    ['native', [first.id]],
    ['multipath', [first.id]],
  ])
  expect([first.unseen, second.unseen]).toEqual([undefined, true])
  await agent.close()
})

it.each(['first', 'last'])('one that another target has is that one, whoever is asked %s', async (which) => {
  const [real, guess] = [new FakeTarget(1, 'a'), new FakeTarget(1, 'b')]
  const [info] = real.infos
  guess.infos = [{ ...info!, unseen: true }]
  const agent = setUp(which === 'first' ? [guess, real] : [real, guess])
  expect((await agent.rescan()).errors).toEqual([])
  expect(agent.devices().filter(({ kind }) => kind === 'multipath')).toMatchObject([
    { volume: VOLUME, paths: [info!.id] },
  ])
  await agent.close()
})
