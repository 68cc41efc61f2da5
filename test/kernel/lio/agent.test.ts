import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { Errno, IoOp } from '@blockbraid/core'
import { loadConfig, runAgent } from 'blockbraid'
import { submit } from '../guest/submit.ts'
import { ALICE, BOB, openBed, openPath, PORTALS } from './bed.ts'

const folder = '/run/agent'
const command = join(import.meta.dirname, '../../../packages/agent/dist/cli.js')
const control = join(folder, 'control.sock')

/** Runs `blockbraid scsi vol-0`, which must end with code 0; resolves to what it printed. */
async function scsi(...words: readonly string[]): Promise<string> {
  const args = [command, 'scsi', 'vol-0', ...words, '--control', control]
  return (await promisify(execFile)(process.execPath, args)).stdout
}

test('blockbraid scsi: a reservation that LIO has, and that shuts another initiator out', async () => {
  await using bed = openBed()
  const volume = bed.volumes[0]!
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'blockbraid.yaml')
  const config = {
    control,
    initiator: ALICE,
    targets: [{ use: 'iscsi', portals: PORTALS, target: bed.lio.name }],
    devices: [{ volume: '*', name: 'vol-{n}', transport: { use: 'nbd', socket: join(folder, '{name}.sock') } }],
  }
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config))
  const running = await runAgent(await loadConfig(file))
  try {
    await scsi('pr', 'register', '--key', '0xa11ce')
    // Over both paths, which are two ports of the volume.
    assert.equal(volume.reservations().registered.match(/a11ce/gi)?.length, 2)
    await scsi('pr', 'reserve', '--key', '0xa11ce')
    assert.match(volume.reservations().holder, new RegExp(ALICE))
    assert.match(await scsi('pr', 'status'), /a11ce.*write-exclusive-registrants/is)
    const bob = await openPath(bed.initiator({ initiator: BOB }))
    assert.equal(await submit(bob, IoOp.Write, 0, 4096), Errno.EBADE)
    await bob.close()
  } finally {
    await running.close()
  }
})
