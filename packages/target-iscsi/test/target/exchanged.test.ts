import type { BlockDevice, Path } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { createIscsiArray } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { iscsi } from '../../src/index.ts'

const READ_CAPACITY = 0x9e
const A = 'naa.6000000000000000000000000000000a'
const B = 'naa.6000000000000000000000000000000b'

async function device(): Promise<BlockDevice> {
  const target = memory({ volumes: [{ size: '1MiB' }], ports: 1 })
  return target.connect((await target.discover())[0]!)
}

function downOf(path: Path): Promise<Error> {
  return new Promise((resolve) => path.events.on('down', resolve))
}

/** An array that exchanges the volume of a LUN and tells nobody, as LIO does. */
async function silentExchange(pollInterval: number) {
  const array = await createIscsiArray({
    name: 'iqn.2026-11.io.blockbraid:array',
    luns: [{ lun: 1, volume: A, device: await device() }],
  })
  const target = iscsi({ portals: [array.portals[0]!.address], pollInterval })
  const path = await target.connect((await target.discover())[0]!)
  const down = downOf(path)
  const exchange = async (): Promise<void> => {
    // INQUIRY meets no unit attention; with this TEST UNIT READY does not either.
    array.faults.command({ opcode: 0x00, status: 0 })
    await array.unmap(1)
    await array.map({ lun: 1, volume: B, device: await device() })
  }
  const end = async (): Promise<void> => {
    await path.close()
    await target.close()
    await array.close()
  }
  return { array, target, path, down, exchange, end }
}

test('an idle path finds out that another volume answers', async () => {
  const { array, down, exchange, end } = await silentExchange(30)
  await exchange()
  const before = array.counters.commands[READ_CAPACITY]
  expect(await down).toMatchObject({ code: 'IDENTITY_CHANGED' })
  // That command would have met the unit attention.
  expect(array.counters.commands[READ_CAPACITY]).toBe(before)
  await end()
})

test('a discovery that finds another volume lets the open path find out', async () => {
  const { target, down, exchange, end } = await silentExchange(60_000)
  await exchange()
  expect((await target.discover()).map(({ volume }) => volume)).toEqual([B])
  expect(await down).toMatchObject({ code: 'IDENTITY_CHANGED' })
  await end()
})
