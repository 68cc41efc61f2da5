// The bed itself, with the kernel's own initiator and nvme-cli on it.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { load } from '../judges/load.ts'
import { connect, controllersOf, disconnect, namespacesOf, openNvmeCli } from '../nvme-host/nvme-cli.ts'
import { MIB, openBed, PORTALS } from './bed.ts'

test('the bed: states, namespaces and lost controllers, as the kernel’s own initiator sees them under fio verify', async () => {
  await openNvmeCli()
  await using bed = openBed({ namespaces: [{}, { group: 2, blockSize: 4096 }] })
  const { nvmet } = bed
  nvmet.setAccess(2, 1, 'non-optimized')
  nvmet.setAccess(1, 2, 'standby')
  for (const portal of PORTALS) await connect(nvmet.nqn, portal)
  try {
    const namespace = (nsid: number): ReturnType<typeof namespacesOf>[number] | undefined =>
      namespacesOf(nvmet.nqn).find((each) => each.nsid === nsid)
    const access = (nsid: number): (string | undefined)[] => PORTALS.map((portal) => namespace(nsid)?.paths.get(portal))
    await until('both namespaces are there', () => namespacesOf(nvmet.nqn).length === 2)
    assert.deepEqual(access(1), ['optimized', 'non-optimized'])
    assert.deepEqual(access(2), ['inaccessible', 'optimized'])
    const node = `/dev/${namespace(1)!.name}`
    const sectors = (): number => Number(readFileSync(`/sys/block/${namespace(1)!.name}/size`, 'utf8'))
    const work = load(node)
    nvmet.setAccess(1, 1, 'non-optimized')
    nvmet.setAccess(2, 1, 'optimized')
    await until('the states are seen', () => access(1).join() === 'non-optimized,optimized')
    await nvmet.setUp(2, false)
    await until('a controller is lost', () => controllersOf(nvmet.nqn).some(({ state }) => state !== 'live'))
    await nvmet.setUp(2, true)
    await until('it is back', () => controllersOf(nvmet.nqn).every(({ state }) => state === 'live'))
    bed.volumes[0]!.storage.grow(96 * MIB)
    nvmet.revalidate(1)
    await until('it has grown', () => sectors() === (96 * MIB) / 512)
    assert.equal(bed.addNamespace(), 3)
    await until('a namespace has come', () => namespace(3) !== undefined)
    await nvmet.removeNamespace(3)
    await until('it has gone', () => namespace(3) === undefined)
    await nvmet.setAttribute('attr_qid_max', 1)
    await until('all controllers were lost', () => controllersOf(nvmet.nqn).some(({ state }) => state !== 'live'))
    await until('they are back', () => controllersOf(nvmet.nqn).every(({ state }) => state === 'live'))
    await work.done
  } finally {
    await disconnect(nvmet.nqn)
  }
})
