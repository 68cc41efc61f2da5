import { memory } from '@blockbraid/target-memory'
import { createRandom } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import type { NamedDevice } from '../src/index.ts'
import { createHostAgent, proveSame } from '../src/index.ts'

const BLOCK = 4096
const options = () => ({ random: createRandom(1) })

/** Two paths to one volume, and a path to another volume of the same size. */
async function devices() {
  const volume = { size: '1MiB' }
  const agent = createHostAgent({ targets: [memory({ volumes: [volume, volume], ports: 2 })] })
  await agent.rescan()
  const open = async (name: string): Promise<NamedDevice> => ({
    name,
    device: await agent.open(`memory:array0/${name}`),
  })
  const [one, same, other] = [await open('port0/lun0'), await open('port1/lun0'), await open('port0/lun1')]
  return { agent, one, same, other }
}

test('paths of one volume are equal, which proves nothing', async () => {
  const { agent, one, same } = await devices()
  const proof = await proveSame([one, same], options())
  expect(proof).toEqual({
    result: 'equal',
    text: '64 blocks of 4096 bytes are equal, which does not prove that it is one volume',
  })
  await agent.close()
})

test('two volumes that are both empty are told apart by a write, and keep what they had', async () => {
  const { agent, one, same, other } = await devices()
  const before = Buffer.alloc(BLOCK, 7)
  for (const { device } of [one, other]) await device.write(5 * BLOCK, before)
  expect(await proveSame([one, other], options())).toMatchObject({ result: 'equal' })
  expect(await proveSame([one, same, other], { ...options(), write: 5 * BLOCK })).toEqual({
    result: 'different',
    text: 'port0/lun0 and port0/lun1 are two volumes: what was written at 20480 through the first is not read through the second',
  })
  for (const { device } of [one, other]) expect(Buffer.from(await device.read(5 * BLOCK, BLOCK))).toEqual(before)
  await agent.close()
})

test('one volume is proven by a write, and keeps what it had', async () => {
  const { agent, one, same } = await devices()
  await one.device.write(0, Buffer.alloc(BLOCK, 9))
  expect(await proveSame([one, same], { ...options(), write: 0 })).toMatchObject({ result: 'same' })
  expect(Buffer.from(await same.device.read(0, BLOCK))).toEqual(Buffer.alloc(BLOCK, 9))
  await agent.close()
})

test.each([0, 2 ** 20 - BLOCK])('a difference at %i is found', async (offset) => {
  const { agent, one, other } = await devices()
  await other.device.write(offset, Buffer.alloc(BLOCK, 1))
  const { result, text } = await proveSame([one, other], options())
  expect([result, text]).toEqual([
    'different',
    `port0/lun0 and port0/lun1 are two volumes: the block at ${offset} differs`,
  ])
  await agent.close()
})

test.each([1, -BLOCK, 2 ** 20, Number.NaN])('an offset of %d is refused before anything is written', async (write) => {
  const { agent, one, same } = await devices()
  await expect(proveSame([one, same], { ...options(), write })).rejects.toThrow(
    `write is ${write}; it must be a multiple of 4096 below 1048576`,
  )
  await agent.close()
})
