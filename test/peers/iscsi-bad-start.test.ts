import { createServer } from 'node:net'
import { createHostAgent } from '@blockbraid/core'
import { iscsi } from '@blockbraid/target-iscsi'
import { createChaosProxy } from '@blockbraid/testkit'
import { nbd } from '@blockbraid/transport-nbd'
import { expect, it } from 'vitest'
import { openFolder } from './support/bed.ts'
import { command } from './support/cli.ts'
import { calm, states } from './support/iscsi-bed.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'
import { run } from './support/tools.ts'

const patient = { timeout: 20_000 }
const multipath = { reconnectDelay: 50, reconnectDelayMax: 500 }

/** A port that accepts and says nothing. */
async function silence(): Promise<AsyncDisposable & { readonly address: string }> {
  const server = createServer((socket) => void socket.on('error', () => {}).resume())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}

itWithTgt('one portal is silent at the start: the other one serves, and what is missing is shown', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget({ name: 'iqn.2026-11.test.tgt:well' })
  await target.addLun({ params: { scsi_id: 'blockbraid-bad-start', scsi_sn: 'bad1' } })
  await using silent = await silence()
  await using folder = await openFolder()
  // A login there would take longer than this test.
  const portals = [tgt.portals[0], silent.address]
  await using agent = createHostAgent({ targets: [iscsi({ ...calm, portals, loginTimeout: 600_000 })] })
  expect((await agent.rescan()).errors).toEqual([])
  const [volume] = agent.devices().filter(({ kind }) => kind === 'multipath')
  expect(volume?.addresses).toEqual([tgt.portals[0]])
  const transport = nbd({ socket: folder.at('nbd.sock') })
  const pair = await agent.pair({ name: 'disk', device: volume!.id, transport, multipath })
  await pair.user.write(0, Buffer.alloc(4096, 7))
  expect((await pair.user.read(0, 4096))[0]).toBe(7)
  expect(pair.paths.find(({ address }) => address === tgt.portals[0])?.state).toBe('up')
})

itWithTgt(
  'one portal refuses at the start: it is used when it is back, and alone when the other one goes',
  async () => {
    await using tgt = await openTgt()
    const target = await tgt.addTarget()
    await target.addLun({ params: { scsi_id: 'blockbraid-comes-back', scsi_sn: 'back1' } })
    await using folder = await openFolder()
    const to = tgt.portals.map((portal) => {
      const [host, port] = portal.split(':') as [string, string]
      return { host, port: Number(port) }
    })
    const first = await createChaosProxy({ to: to[0]! })
    const second = await createChaosProxy({ to: to[1]! })
    try {
      await second.refuse(true)
      const portals = [first.address, second.address]
      await using agent = createHostAgent({ targets: [iscsi({ ...calm, portals, toldPortals: false })] })
      expect((await agent.rescan()).errors).toEqual([])
      const [volume] = agent.devices().filter(({ kind }) => kind === 'multipath')
      const transport = nbd({ socket: folder.at('nbd.sock') })
      const pair = await agent.pair({ name: 'disk', device: volume!.id, transport, multipath })
      await pair.user.write(0, Buffer.alloc(4096, 7))
      await second.refuse(false)
      await expect.poll(() => states(pair).sort(), patient).toEqual(['up', 'up'])
      await first.refuse(true)
      first.cut()
      expect((await pair.user.read(0, 4096))[0]).toBe(7)
    } finally {
      await first.close()
      await second.close()
    }
  },
)

itWithTgt('a target that is deleted and made again is found again', async () => {
  await using tgt = await openTgt()
  const name = 'iqn.2026-11.test.tgt:phoenix'
  const params = { scsi_id: 'blockbraid-phoenix', scsi_sn: 'phoenix1' }
  // Where no target is left, tgt lets nobody ask for targets.
  await tgt.addTarget()
  const before = await tgt.addTarget({ name })
  const { file } = await before.addLun({ params })
  await using agent = createHostAgent({ targets: [iscsi({ ...calm, portals: tgt.portals })] })
  await agent.rescan()
  const volumes = (): string[] => agent.devices().flatMap(({ kind, id }) => (kind === 'multipath' ? [id] : []))
  const [id] = volumes()
  await using folder = await openFolder()
  const transport = nbd({ socket: folder.at('nbd.sock') })
  const pair = await agent.pair({ name: 'disk', device: id!, transport, multipath })
  await pair.user.write(0, Buffer.alloc(4096, 7))
  await before.remove()
  await agent.rescan()
  expect(volumes()).toEqual([])
  const after = await tgt.addTarget({ name })
  await after.addLun({ params, file })
  // Nobody asks for it: what is in use is looked for.
  await expect.poll(() => states(pair).filter((state) => state === 'up').length, patient).toBe(2)
  expect((await pair.user.read(0, 4096))[0]).toBe(7)
})

itWithTgt('a target whose name is not by the book, as NAS boxes have, is used like any other', async () => {
  await using tgt = await openTgt()
  const odd = await tgt.addTarget({ name: 'Target-911data' })
  await odd.addLun()
  const plain = await tgt.addTarget()
  await plain.addLun()
  await using folder = await openFolder()
  const { code, stdout, stderr } = await run(
    process.execPath,
    [command, 'discover', '--json', `iscsi://${tgt.portals[0]}`],
    { cwd: folder.path },
  )
  expect(code, stderr).toBe(0)
  for (const { name } of [odd, plain]) expect(stdout).toContain(`iscsi:${name}/${tgt.portals[0]}/lun1`)
  await using agent = createHostAgent({ targets: [iscsi({ ...calm, portals: tgt.portals })] })
  await agent.rescan()
  const device = agent.devices().find(({ paths }) => paths.some((id) => id.includes(odd.name)))!
  await using user = await agent.open(device.id)
  await user.write(0, Buffer.alloc(4096, 9))
  expect((await user.read(0, 4096))[0]).toBe(9)
})

itWithTgt('a target that wants CHAP hides none beside it, and is told', async () => {
  await using tgt = await openTgt()
  const open = await tgt.addTarget()
  await open.addLun()
  const closed = await tgt.addTarget({ chap: { user: 'bob', secret: 'a-secret-of-bob' } })
  await closed.addLun()
  await using folder = await openFolder()
  const { code, stdout, stderr } = await run(process.execPath, [command, 'discover', `iscsi://${tgt.portals[0]}`], {
    cwd: folder.path,
  })
  expect(code, stderr).toBe(0)
  expect(stdout).toContain(open.name)
  expect(stderr.trimEnd().split('\n')).toEqual([
    expect.stringMatching(new RegExp(`^blockbraid: ${closed.name} at ${tgt.portals[0]}: the target refused the login`)),
  ])
})

itWithTgt('MD5, which tgt has alone, is used without being named, and that is said', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget({ chap: { user: 'bob', secret: 'a-secret-of-bob' } })
  await target.addLun()
  await using folder = await openFolder()
  const discover = (query: string) =>
    run(
      process.execPath,
      [command, 'discover', `iscsi://bob%a-secret-of-bob@${tgt.portals[0]}/${target.name}${query}`],
      {
        cwd: folder.path,
      },
    )
  const said = await discover('')
  expect([said.code, said.stderr]).toEqual([0, expect.stringContaining('no better CHAP than MD5')])
  expect(await discover('?chap=md5')).toMatchObject({ code: 0, stderr: '' })
})

it.todo('tgt asks for no CHAP in discovery, has every logical unit 0 and tells only the portal that it was asked at')
