import { createIscsiArray } from '@blockbraid/array-iscsi'
import type { BlockDevice, Path } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { expect, test } from 'vitest'
import { iscsi } from '../../src/index.ts'

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
    // What would tell of it is answered as if nothing had happened.
    array.faults.wire({
      pdu: 'scsiResponse',
      replace(pdu) {
        const good = Buffer.from(pdu.subarray(0, 48))
        good[3] = 0
        good.writeUInt32BE(0, 4)
        return [good]
      },
    })
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
  const { down, exchange, end } = await silentExchange(30)
  await exchange()
  expect(await down).toMatchObject({ code: 'IDENTITY_CHANGED' })
  await end()
})
