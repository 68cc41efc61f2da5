// DH-HMAC-CHAP with the kernel's NVMe target (Linux, drivers/nvme/target/auth.c).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IoOp } from '@blockbraid/core'
import type { NvmeofOptions } from '@blockbraid/target-nvmeof'
import { submit } from '../guest/submit.ts'
import { until } from '../guest/wait.ts'
import { nvme, openNvmeCli } from '../nvme-host/nvme-cli.ts'
import type { Bed } from './bed.ts'
import { ALICE, openAllPaths, openBed, openPath } from './bed.ts'

type Dhchap = NonNullable<NvmeofOptions['dhchap']>

/** A secret of nvme-cli; `form` 0 is used as it is, else the number of the hash that transforms it. */
async function secretOf(form: number, length: number): Promise<string> {
  await openNvmeCli()
  const key = await nvme('gen-dhchap-key', `--hmac=${form}`, `--key-length=${length}`, `--nqn=${ALICE}`)
  return key.trim()
}

/** Lets ALICE in with these attributes alone. */
function allow(bed: Bed, attributes: Readonly<Record<string, string>>): void {
  bed.nvmet.allow({ nqn: ALICE, attributes })
}

/** Writes and reads through one path, and closes. */
async function use(bed: Bed, dhchap: Dhchap, options: Partial<NvmeofOptions> = {}): Promise<void> {
  const target = bed.initiator({ dhchap, ...options })
  const path = await openPath(target)
  assert.equal(await submit(path, IoOp.Write, 0, 8192, 0x3c), 0)
  assert.equal(await submit(path, IoOp.Read, 0, 8192), 0)
  await path.close()
  await bed.close(target)
}

async function refusal(bed: Bed, options: Partial<NvmeofOptions>): Promise<string> {
  const target = bed.initiator(options)
  const error: unknown = await openPath(target).then(
    () => assert.fail('it was let in'),
    (caught: unknown) => caught,
  )
  await bed.close(target)
  return (error as Error).message
}

test('both ways, by every hash and every group, on the admin queue and two I/O queues', async () => {
  const [host, controller] = [await secretOf(1, 32), await secretOf(2, 48)]
  await using bed = openBed({ hosts: [{ nqn: ALICE }] })
  const groups = ['null', 'ffdhe2048', 'ffdhe3072', 'ffdhe4096', 'ffdhe6144', 'ffdhe8192']
  for (const [at, group] of groups.entries()) {
    for (const [number, hash] of ['sha256', 'sha384', 'sha512'].entries()) {
      // Each hash with one small group at least; large ones take their time in an emulated machine.
      if (at > 1 && number !== at % 3) continue
      const agreed = { dhchap_hash: `hmac(${hash})`, dhchap_dhgroup: group }
      allow(bed, { dhchap_key: host, dhchap_ctrl_key: controller, ...agreed })
      await use(bed, { secret: host, controllerSecret: controller }, { queues: 2 })
    }
  }
})

test('one way, by secrets of every form', async () => {
  await using bed = openBed({ hosts: [{ nqn: ALICE }] })
  for (const [form, length] of [
    [0, 32],
    [0, 64],
    [1, 32],
    [2, 48],
    [3, 64],
  ] as const) {
    const secret = await secretOf(form, length)
    allow(bed, { dhchap_key: secret, dhchap_hash: 'hmac(sha256)', dhchap_dhgroup: 'null' })
    await use(bed, { secret })
  }
})

test('secrets that do not fit are told apart', async () => {
  const [host, controller, other] = [await secretOf(1, 32), await secretOf(0, 32), await secretOf(0, 32)]
  await using bed = openBed({ hosts: [{ nqn: ALICE }] })
  allow(bed, { dhchap_key: host, dhchap_ctrl_key: controller, dhchap_hash: 'hmac(sha256)', dhchap_dhgroup: 'null' })
  assert.match(await refusal(bed, {}), /asks for DH-HMAC-CHAP, and no secret is configured/)
  assert.match(await refusal(bed, { dhchap: { secret: other } }), /refuses this host: the proof is wrong/)
  const wrong = await refusal(bed, { dhchap: { secret: host, controllerSecret: other } })
  assert.match(wrong, /does not know dhchap\.controllerSecret/)
  for (const secret of [host, controller, other]) assert.ok(!wrong.includes(secret.slice(10, 30)))
  await use(bed, { secret: host, controllerSecret: controller })
})

test('a path that was lost authenticates again', async () => {
  const [host, controller] = [await secretOf(1, 32), await secretOf(0, 32)]
  const attributes = { dhchap_key: host, dhchap_ctrl_key: controller }
  await using bed = openBed({ hosts: [{ nqn: ALICE, attributes: { ...attributes, dhchap_dhgroup: 'ffdhe2048' } }] })
  const target = bed.initiator({ dhchap: { secret: host, controllerSecret: controller } })
  const device = await openAllPaths(target)
  for (const port of [1, 2]) {
    await bed.nvmet.setUp(port, false)
    await until('a path is lost', () => device.paths.some(({ state }) => state !== 'up'))
    assert.equal(await submit(device, IoOp.Write, 0, 4096, port), 0)
    await bed.nvmet.setUp(port, true)
    await until('it is back', () => device.paths.every(({ state }) => state === 'up'))
  }
  await device.close()
})
