import { expect, test } from 'vitest'
import { endsLate } from '../../src/fence/forgotten.ts'
import { DoubleAssociation } from './double.ts'
import { after, rig } from './rig.ts'

const owner = {}
const LINUX = { model: 'Linux' }

test('a controller of Linux is known, whatever it is called', () => {
  const { host } = rig()
  const is = (facts: object): boolean => endsLate(new DoubleAssociation(host, facts).controller)
  expect(is({})).toBe(false)
  expect(is(LINUX)).toBe(true)
  const identify = Buffer.alloc(4096)
  identify.writeUInt16LE(10, 320)
  identify.writeUInt16LE(0x9c4, 2048)
  identify.writeUInt32LE(0x10, 2052)
  expect(is({ identify })).toBe(false)
  identify.writeUInt32LE(4, 2056)
  expect(is({ identify, model: 'renamed' })).toBe(true)
})

test('one of Linux that is disabled has ended only when it is forgotten', async () => {
  const made = rig()
  const { shared, association } = await made.at('a', LINUX)
  association.open(owner)
  association.disabling = () => Promise.resolve(true)
  let gone = false
  made.forgets = () => Promise.resolve(gone)
  association.lose()
  const fence = shared.fenced(association, owner)
  expect(await after(made.host, 60_000, fence)).toBe('open')
  gone = true
  expect(await after(made.host, 500, fence)).toMatchObject({ by: 'controller gone', assumed: false })
  expect(made.host.clock.timers).toBe(0)
})

test('one that was not disabled is forgotten as well', async () => {
  const made = rig()
  const { shared, association } = await made.at('a', LINUX)
  association.open(owner)
  made.forgets = () => Promise.resolve(true)
  association.lose()
  expect(await after(made.host, 0, shared.fenced(association, owner))).toMatchObject({ by: 'controller gone' })
})

test('where it cannot be asked, time is the proof, from when it was there last', async () => {
  const made = rig()
  const { host } = made
  const { shared, association } = await made.at('a', LINUX)
  association.open(owner)
  association.disabling = () => Promise.resolve(true)
  let there = true
  made.forgets = () => (there ? Promise.resolve(false) : Promise.reject(new Error('unreachable')))
  association.lose()
  const fence = shared.fenced(association, owner)
  await after(host, 10_000, fence)
  there = false
  expect(await after(host, 19_500, fence)).toBe('open')
  expect(await after(host, 1500, fence)).toMatchObject({ by: 'time', assumed: true })
})

test('a portal that answers nothing does not hold it up', async () => {
  const made = rig()
  const { shared, association } = await made.at('a', LINUX)
  association.open(owner)
  made.forgets = () => new Promise(() => {})
  association.lose()
  const fence = shared.fenced(association, owner)
  expect(await after(made.host, 20_000, fence)).toBe('open')
  expect(await after(made.host, 1000, fence)).toMatchObject({ by: 'time', assumed: true })
})

test('that its number was given to another one is the proof, too', async () => {
  const made = rig()
  const { shared, association } = await made.at('a', LINUX)
  association.open(owner)
  made.forgets = () => Promise.resolve(false)
  association.lose()
  const fence = shared.fenced(association, owner)
  expect(await after(made.host, 1000, fence)).toBe('open')
  await made.at('a', LINUX)
  expect(await after(made.host, 500, fence)).toMatchObject({ by: 'controller gone' })
})
