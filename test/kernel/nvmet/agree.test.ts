// What nvme-cli says of a subsystem, and what this initiator says.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  Cns,
  decodeAnaLog,
  decodeController,
  decodeSmartLog,
  getLog,
  IDENTIFY_LENGTH,
  identify,
  LogPage,
  sendNvme,
} from '@blockbraid/target-nvmeof'
import { until } from '../guest/wait.ts'
import { ROOT } from '../judges/root.ts'
import { connect, controllersOf, disconnect, namespacesOf, nvme, nvmeJson, openNvmeCli } from '../nvme-host/nvme-cli.ts'
import { openBed, openPath, PORTALS } from './bed.ts'

test('both read the same controller, namespace, states and health', async () => {
  await openNvmeCli()
  await using bed = openBed({
    namespaces: [{ blockSize: 4096, nguid: '0b10c4b1-a1d0-4000-8000-00000000abcd' }, { group: 2 }],
    attributes: { attr_serial: 'SERIAL', attr_model: 'a model of the test' },
  })
  const { nvmet } = bed
  nvmet.setAccess(1, 2, 'non-optimized')
  const target = bed.initiator()
  const [first, second] = [await openPath(target, 1), await openPath(target, 2)]
  await connect(nvmet.nqn, PORTALS[0])
  try {
    await until('the kernel has both', () => namespacesOf(nvmet.nqn).length === 2)
    const device = `/dev/${controllersOf(nvmet.nqn)[0]!.name}`
    const theirs = await nvmeJson('id-ctrl', device)
    const { command, data } = identify(Cns.Controller)
    const ours = decodeController((await sendNvme(first, command, data)).data)
    assert.equal(ours.model, String(theirs['mn']).trim())
    assert.equal(ours.serial, String(theirs['sn']).trim())
    assert.equal(ours.subNqn, theirs['subnqn'])
    assert.equal(ours.version, theirs['ver'])
    assert.equal(ours.maxTransfer, theirs['mdts'])
    assert.equal(ours.keepAliveGranularity, Number(theirs['kas']) * 100)

    // Every byte, as it came.
    const raw = readFileSync(binary('id-ns', device, '--namespace-id=1'))
    const request = identify(Cns.Namespace, 1)
    const answer = (await sendNvme(first, request.command, request.data)).data
    assert.equal(raw.length, IDENTIFY_LENGTH)
    assert.ok(raw.equals(answer))
    const namespace = await nvmeJson('id-ns', device, '--namespace-id=1')
    assert.equal(first.limits.size, Number(namespace['nsze']) * first.limits.blockSize)
    const descriptors = await nvme('ns-descs', device, '--namespace-id=1')
    assert.ok(descriptors.includes(bed.volumes[0]!.id.slice(5)), descriptors)
    assert.equal(first.volume, bed.volumes[0]!.id)

    const log = getLog(LogPage.Ana, 4096)
    const groups = decodeAnaLog((await sendNvme(first, log.command, log.data)).data).groups
    const words = await nvme('ana-log', device)
    for (const { id } of groups) assert.match(words, new RegExp(`grpid\\s*:\\s*${id}\\b`))
    assert.deepEqual([first.access, second.access], ['optimized', 'non-optimized'])
    await until(
      'the kernel has the same states',
      () =>
        namespacesOf(nvmet.nqn)
          .map(({ paths }) => paths.get(PORTALS[0]))
          .join() === 'optimized,non-optimized',
    )
    const health = getLog(LogPage.Smart, 512)
    const smart = decodeSmartLog((await sendNvme(first, health.command, health.data)).data)
    assert.ok(smart)
    await nvme('smart-log', device)
  } finally {
    await disconnect(nvmet.nqn)
  }
  await Promise.all([first.close(), second.close()])
})

/** Path of a file with what a command of nvme-cli gives as bytes. */
function binary(...args: readonly string[]): string {
  execFileSync('sh', ['-c', 'chroot "$0" nvme "$@" --raw-binary >/run/binary', ROOT, ...args])
  return '/run/binary'
}
