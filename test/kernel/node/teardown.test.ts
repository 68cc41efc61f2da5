// Last: what the other files have left behind.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { kind, nodesInUse } from './bed.ts'
import { tool } from './tools.ts'

test('no node, no record of one, no descriptor is left', async () => {
  assert.deepEqual(nodesInUse(), [])
  const records = '/run/blockbraid/nodes'
  assert.deepEqual(existsSync(records) ? readdirSync(records) : [], [])
  const open = (): string[] =>
    readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)]
      } catch {
        return []
      }
    })
  await until('none is open', () => open().every((path) => !/\/dev\/(nbd|ublk)/.test(path)))
})

test('the driver can be unloaded', async () => {
  const module = kind === 'nbd' ? 'nbd' : 'ublk_drv'
  await until('nobody uses it', () =>
    tool('modprobe', '-r', module).then(
      () => true,
      () => false,
    ),
  )
  assert.equal(existsSync(`/sys/module/${module}`), false)
})
