// Before the module is loaded: what the transport does about it, and what it says where it can do nothing.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { BlockError } from '@blockbraid/core'
import { createMinimalDevice } from '@blockbraid/testkit'
import { ublk } from '@blockbraid/transport-ublk'
import { start } from '../node/tools.ts'

const { code } = await start('modinfo', ['ublk_drv']).ended

test('a kernel without the driver: the sentence says which kernel, and what is needed', {
  skip: code === 0,
}, async () => {
  await assert.rejects(ublk().attach(createMinimalDevice(), { name: 'disk' }), (error) => {
    assert.ok(BlockError.is(error))
    assert.equal(error.code, 'NOT_SUPPORTED')
    assert.match(error.message, /\(Linux \d+\.\d+\.\S+\) has no ublk driver.*CONFIG_BLK_DEV_UBLK is needed/)
    return true
  })
})

test('the module is loaded when it is missing', { skip: code !== 0 }, async () => {
  const transport = ublk()
  const attachment = await transport.attach(createMinimalDevice(), { name: 'disk' })
  assert.equal(attachment.node, '/dev/ublkb0')
  await attachment.detach()
  await transport.close()
})

test('io_uring disabled: the sentence names the sysctl', { skip: code !== 0 }, async () => {
  const sysctl = '/proc/sys/kernel/io_uring_disabled'
  await writeFile(sysctl, '2')
  try {
    await assert.rejects(ublk().attach(createMinimalDevice(), { name: 'disk' }), (error) => {
      assert.ok(BlockError.is(error))
      assert.equal(error.code, 'NOT_SUPPORTED')
      assert.match(error.message, /sysctl kernel\.io_uring_disabled is 2: set it to 0/)
      return true
    })
  } finally {
    await writeFile(sysctl, '0')
  }
})
