// Last: what the other files have left behind.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { ROOT } from './root.ts'

test('no socket is left in this process', async () => {
  await until('no socket is left', () => process.getActiveResourcesInfo().every((kind) => !kind.startsWith('TCP')))
})

test('LIO can be taken down and unloaded: no session and no command is left in it', () => {
  for (const fabric of ['discovery_auth', ...readdirSync(join(ROOT, 'iscsi'))]) {
    const path = join(ROOT, 'iscsi', fabric)
    if (fabric.startsWith('iqn.')) assert.fail(`${fabric} is still there`)
    assert.ok(existsSync(path))
  }
  rmdirSync(join(ROOT, 'iscsi'))
  execFileSync('modprobe', ['-r', 'iscsi_target_mod'])
  for (const adapter of ['fileio_0', 'rd_mcp_0', 'iblock_0']) {
    const path = join(ROOT, 'core', adapter)
    if (existsSync(path)) rmdirSync(path)
  }
  execFileSync('modprobe', ['-r', 'target_core_iblock', 'target_core_file', 'target_core_mod'])
  assert.equal(existsSync('/sys/module/target_core_mod'), false)
})
