import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { it } from 'node:test'
import { until, within } from '../guest/wait.ts'
import { attach, attribute, connectedNodes, makeFile, openDirect, pattern, run } from './bed.ts'
import { serve } from './serve.ts'

it('refuses while a process has the node open, and names it', async (t) => {
  const { attachment } = await attach(t)
  const user = spawn('sh', ['-c', `exec 3<${attachment.node}; echo open; read x`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(user.stdout, 'data')
  await assert.rejects(attachment.detach(), { code: 'IN_USE', message: new RegExp(`process ${user.pid} \\(sh\\)`) })
  // It is attached as before.
  await using file = await openDirect(attachment.node)
  await file.write(0, pattern('still here', 4096))
  await file[Symbol.asyncDispose]()
  user.stdin.end('\n')
  await once(user, 'exit')
  await attachment.detach()
  assert.deepEqual(connectedNodes(), [])
})

it('refuses while the node is mounted, unless forced', async (t) => {
  const { attachment, kname } = await attach(t)
  await run('mkfs.ext4', '-q', attachment.node)
  await run('mkdir', '-p', '/run/mounted')
  await run('mount', attachment.node, '/run/mounted')
  t.after(() => run('sh', '-c', 'umount /run/mounted 2>/dev/null || true'))
  await assert.rejects(attachment.detach(), { code: 'IN_USE', message: /mounted at \/run\/mounted/ })
  await within('forced detach', attachment.detach({ mode: 'force' }))
  await assert.rejects(run('sh', '-c', 'echo x >/run/mounted/file && sync /run/mounted/file'))
  await run('umount', '/run/mounted')
  await until('node gone', () => attribute(kname, 'size') === '0')
  // Its number is free again.
  const again = await attach(t)
  assert.equal(again.kname, kname)
})

it('ends I/O that waits with EIO where forced', async (t) => {
  const { attachment, device } = await attach(t)
  await using file = await openDirect(attachment.node)
  device.hold = true
  const written = file.write(0, pattern('late', 4096))
  await until('write held', () => device.held.length > 0)
  const detached = attachment.detach({ mode: 'force' })
  await within('EIO', assert.rejects(written, { code: 'EIO' }))
  // The device still has it, and is not ours to leave alone before it is done.
  device.release()
  await within('detached', detached)
})

it('lets go of the device at once where the signal fires', async (t) => {
  const { attachment, device } = await attach(t)
  await using file = await openDirect(attachment.node)
  device.hold = true
  const written = assert.rejects(file.write(0, pattern('late', 4096)), { code: 'EIO' })
  await until('write held', () => device.held.length > 0)
  await within('detached', attachment.detach({ mode: 'force', signal: AbortSignal.abort() }))
  await written
})

it('leaves a node whose I/O waits for whoever comes next', async (t) => {
  const file = makeFile(t)
  const first = await attach(t, { file })
  await using direct = await openDirect(first.attachment.node)
  await first.attachment.detach({ mode: 'leave' })
  assert.deepEqual(await first.transport.nodes?.(), [
    { node: first.attachment.node, name: 'disk', volume: 'naa.1', served: false, users: [] },
  ])
  const written = direct.write(4096, pattern('waits', 4096))
  const second = await attach(t, { file })
  assert.equal(second.attachment.tookOver, true)
  assert.equal(second.attachment.node, first.attachment.node)
  await within('write', written)
  assert.ok(second.device.log.includes('write 4096 4096'))
  await direct[Symbol.asyncDispose]()
  await second.attachment.detach()
  assert.deepEqual(connectedNodes(), [])
})

it('tells when another program disconnects the node', async (t) => {
  const { attachment, transport } = await attach(t)
  const lost = once(attachment.events as unknown as NodeJS.EventEmitter, 'lost')
  const other = await attach(t, { name: 'other' })
  await other.transport.removeNode?.(attachment.node, { mode: 'force' })
  const [error] = (await within('lost', lost)) as [Error]
  assert.match(error.message, /another program disconnected \/dev\/nbd0/)
  await attachment.detach()
  assert.deepEqual(
    (await transport.nodes?.())?.map(({ name }) => name),
    ['other'],
  )
})

for (const [how, options] of [
  ['', []],
  [' by ioctl', ['-nonetlink']],
] as const) {
  it(`is lost where nbd-client -d ends the node${how}, and attached again under its name`, async (t) => {
    const { attachment, transport, device } = await attach(t)
    const losses: Error[] = []
    attachment.events.on('lost', (error) => losses.push(error))
    await run('nbd-client', ...options, '-d', attachment.node)
    await until('it is lost', () => losses.length > 0)
    assert.match(losses[0]!.message, /another program disconnected \/dev\/nbd0/)
    await within('detached', attachment.detach())
    const again = await transport.attach(device, { name: 'disk', volume: 'naa.1' })
    await using direct = await openDirect(again.node)
    await direct.write(4096, pattern('again', 4096))
    assert.equal(losses.length, 1)
  })
}

it('lists and removes nodes that nobody serves', async (t) => {
  const { transport } = await attach(t, { name: 'other' })
  const server = await serve(t, { file: makeFile(t) })
  const find = async () => (await transport.nodes?.())?.find(({ node }) => node === server.node)
  assert.equal((await find())?.served, true)
  await assert.rejects(Promise.resolve(transport.removeNode?.(server.node)), {
    code: 'IN_USE',
    message: `process ${server.child.pid} serves disk as ${server.node}`,
  })
  await server.kill()
  await until('an orphan', async () => (await find())?.served === false)
  await transport.removeNode?.(server.node)
  assert.equal(await find(), undefined)
  await assert.rejects(Promise.resolve(transport.removeNode?.(server.node)), { code: 'NOT_FOUND' })
})
