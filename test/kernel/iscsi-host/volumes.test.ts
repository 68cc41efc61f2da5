import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { load } from '../judges/load.ts'
import { judge } from '../judges/root.ts'
import { tool } from '../node/tools.ts'
import { MIB, openBed, PORTALS } from './bed.ts'
import { hostPaths } from './multipath.ts'

test('a volume that grows, and another that comes and goes, are seen after a rescan', async () => {
  await using bed = await openBed()
  bed.storage.grow(0, '96MiB')
  await judge('iscsiadm', '-m', 'node', '-T', bed.array.name, '--rescan')
  for (const portal of PORTALS) await until('the disk has grown', () => sectors(bed.disk(portal)) === (96 * MIB) / 512)
  await until('the map can grow', async () => (await judge('multipathd', 'resize', 'map', bed.wwid)).includes('ok'))
  await until('the map has grown', async () => Number(await tool('blockdev', '--getsize64', bed.map)) === 96 * MIB)
  const id = bed.storage.addVolume({ size: '32MiB' })
  const wwid = `3${id.replace('naa.', '')}`
  await judge('iscsiadm', '-m', 'node', '-T', bed.array.name, '--rescan')
  await until('it has a map with two paths', async () => (await hostPaths(wwid)).length === 2)
  assert.equal((await tool('blockdev', '--getss', `/dev/mapper/${wwid}`)).trim(), '4096')
  await load(`/dev/mapper/${wwid}`, { bs: '4k', size: '4m' }).done
  bed.storage.unmap(id, 'all')
  await until('its paths have failed', async () => (await hostPaths(wwid)).every(({ check }) => check !== 'ready'))
  assert.ok((await hostPaths(bed.wwid)).every(({ check }) => check === 'ready'))
  assert.deepEqual(bed.array.violations, [])
})

function sectors(disk: string): number {
  return Number(readFileSync(`/sys/block/${disk}/size`, 'utf8'))
}
