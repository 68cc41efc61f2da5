import type { NvmeArray } from '@blockbraid/array-nvmeof'
import { createNvmeArray } from '@blockbraid/array-nvmeof'
import { systemClock } from '@blockbraid/core'
import { afterEach, expect, test } from 'vitest'
import type { Association } from '../../src/association/association.ts'
import { forgets } from '../../src/association/forgets.ts'
import { openAssociation } from '../../src/association/open.ts'
import { portalOf } from '../../src/place/portal.ts'

const ends: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const HOST = {
  hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:6c9a2f5e-0f0c-4c0e-9a55-2d1b8f9f5a01',
  hostId: '6c9a2f5e-0f0c-4c0e-9a55-2d1b8f9f5a01',
}

function optionsFor({ name, ports }: NvmeArray) {
  const { host, port } = ports[0]!
  return {
    clock: systemClock,
    place: { ...HOST, subNqn: name, portal: portalOf(host, port) },
    headerDigest: false,
    dataDigest: false,
    queues: 1,
    queueDepth: 16,
    keepAliveTimeout: 5000,
    connectTimeout: 5000,
    commandTimeout: 2000,
  }
}

async function scene() {
  const array = await createNvmeArray({ name: 'nqn.2026-11.io.blockbraid:array', model: 'Linux' })
  ends.push(() => array.close())
  const options = optionsFor(array)
  const association: Association = await openAssociation(options)
  ends.push(() => association.close())
  return { array, options, association }
}

test('a controller that is there is not disturbed by the question, and is forgotten when it has ended', async () => {
  const { array, options, association } = await scene()
  const { id } = association.controller
  for (let time = 0; time < 3; time++) expect(await forgets(options, id)).toBe(false)
  expect(association.usable).toBe(true)
  expect(array.controllers).toHaveLength(1)
  expect(array.controllers[0]!.queues).toEqual([1])
  expect(await forgets(options, id + 1)).toBe(true)
  await association.close()
  await expect.poll(() => forgets(options, id)).toBe(true)
  await expect.poll(() => array.ports[0]!.connections).toBe(0)
  expect(array.violations).toEqual([])
})

test('what does not say is no answer', async () => {
  const { array, options, association } = await scene()
  const { id } = association.controller
  const busy = array.faults.connect({ action: 'refuse', admin: false })
  await expect(forgets(options, id)).rejects.toMatchObject({ code: 'PROTOCOL' })
  busy.remove()
  const mute = array.faults.connect({ action: 'mute' })
  await expect(forgets(options, id, { signal: AbortSignal.timeout(50) })).rejects.toBeDefined()
  mute.remove()
  await array.ports[0]!.down()
  await expect(forgets(options, id)).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
})
