// DH-HMAC-CHAP of the kernel's own initiator with a simulated array. Not TLS: Node's server sends a session ticket behind the
// handshake, whatever it is told, and the kernel takes that for the end (`unhandled TLS record 22`).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { load } from '../judges/load.ts'
import { openBed, PORTALS } from './bed.ts'

import { connect, LINUX, namespacesOf, nvme, openNvmeCli } from './nvme-cli.ts'

async function secretOf(form: number, length: number): Promise<string> {
  await openNvmeCli()
  return (await nvme('gen-dhchap-key', `--hmac=${form}`, `--key-length=${length}`, `--nqn=${LINUX}`)).trim()
}

for (const [hash, group] of [
  ['sha256', 'null'],
  ['sha384', 'ffdhe2048'],
  ['sha512', 'ffdhe4096'],
  ['sha256', 'ffdhe8192'],
] as const) {
  test(`the kernel authenticates both ways with ${hash} and ${group}, on every queue`, async () => {
    const [host, controller] = [await secretOf(1, 32), await secretOf(2, 48)]
    const auth = { hosts: { [LINUX]: host }, controllerSecret: controller, hashes: [hash], groups: [group] }
    await using bed = await openBed({
      array: { auth: { ...auth, onIoQueues: true } },
      connect: { 'dhchap-secret': host, 'dhchap-ctrl-secret': controller, 'nr-io-queues': 2 },
    })
    await load(bed.node()).done
    assert.deepEqual(bed.array.violations, [])
  })
}

test('the kernel is not let in with another secret, and does not take an array with another one', async () => {
  const [host, controller, other] = [await secretOf(1, 32), await secretOf(0, 32), await secretOf(0, 32)]
  const array = { auth: { hosts: { [LINUX]: host }, controllerSecret: controller } }
  await using bed = await openBed({ array, connect: false })
  await assert.rejects(connect(bed.array.name, PORTALS[0], { 'dhchap-secret': other }))
  await assert.rejects(connect(bed.array.name, PORTALS[0], { 'dhchap-secret': host, 'dhchap-ctrl-secret': other }))
  await connect(bed.array.name, PORTALS[0], { 'dhchap-secret': host, 'dhchap-ctrl-secret': controller })
  await until('the namespace is there', () => namespacesOf(bed.array.name).length === 1)
})
