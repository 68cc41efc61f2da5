import { writeFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { openBed, openFolder, quick } from './support/bed.ts'
import { blockbraid, ls, startBlockbraid } from './support/cli.ts'
import { fioJob, startFio, verifiedMix } from './support/fio.ts'
import { qemuIo, tryQemuIo } from './support/qemu-io.ts'

const patient = { timeout: 20_000 }

it.each(['down', 'hung'] as const)('with all ports %s fio waits, and goes on when one is back', async (how) => {
  await using bed = await openBed({ array: { volumes: [{ size: '16MiB' }], latency: { base: 100 } } })
  const { array, pair } = bed
  const edges: string[] = []
  pair.events.on('stalled', () => edges.push('stalled'))
  pair.events.on('resumed', ({ expired }) => edges.push(`resumed, ${expired} lost`))
  const load = startFio(bed.uri, bed.folder.path, [...verifiedMix, '--size=16M', '--loops=3'])
  await expect.poll(() => pair.paths.reduce((sum, { ios }) => sum + ios, 0), patient).toBeGreaterThan(200)
  for (const { number } of array.ports) how === 'down' ? array.portDown(number) : array.hang(number)
  await expect.poll(() => [pair.state, pair.parked > 0], patient).toEqual(['stalled', true])
  // Its 16 requests in flight wait, and nothing is lost or done meanwhile.
  await expect.poll(() => pair.parked, patient).toBe(16)
  if (how === 'down') array.portUp(2)
  else array.release(2)
  expect(fioJob(await load.ended).writes).toBeGreaterThan(100)
  expect(edges).toEqual(['stalled', 'resumed, 0 lost'])
  // The ports that are still gone are not forgotten.
  expect(pair.state).toBe('degraded')
  expect(pair.paths.length).toBe(4)
})

it('without a path for noPathTimeout the application gets EIO, and later requests are served again', async () => {
  await using bed = await openBed({ multipath: { ...quick, noPathTimeout: 400 } })
  const { array, pair } = bed
  let expired = 0
  pair.events.on('resumed', (detail) => (expired = detail.expired))
  for (const { number } of array.ports) array.portDown(number)
  for (const command of ['read 0 4k', 'write -P 1 0 4k', 'write -f -P 1 0 4k', 'write -z 0 4k', 'discard 0 4k']) {
    const { code, stdout, stderr } = await tryQemuIo(bed.uri, command)
    expect(code, command).toBe(1)
    expect(stdout + stderr, command).toContain('Input/output error')
  }
  const load = await startFio(bed.uri, bed.folder.path, ['--rw=write', '--bs=4k', '--size=1M']).ended
  expect(load.stdout + load.stderr).toContain('Input/output error')
  expect(load.code).not.toBe(0)
  expect(pair).toMatchObject({ state: 'stalled', parked: 0 })
  array.portUp(3)
  await qemuIo(bed.uri, 'read -P 0 0 64M', 'write -P 7 0 4k', 'flush', 'read -P 7 0 4k')
  expect(expired).toBeGreaterThanOrEqual(6)
})

it('ls shows a stalled pair and what waits, and Ctrl-C ends the agent all the same', async () => {
  await using folder = await openFolder()
  const control = folder.at('control.sock')
  await writeFile(
    folder.at('blockbraid.yaml'),
    `control: ${control}
targets:
  - use: memory
    volumes: [{ size: 16MiB }]
    ports: 2
devices:
  - volume: "*"
    name: disk
    transport: { use: nbd, socket: ${folder.at('nbd.sock')} }
`,
  )
  const agent = startBlockbraid(folder.path, 'up', 'blockbraid.yaml')
  await agent.printed((stdout) => stdout.includes('control socket'))
  const [disk] = (await ls(folder.path, control)).pairs
  for (const { id } of disk!.paths) await blockbraid(folder.path, 'path', 'fail', 'disk', id, '--control', control)
  const args = ['--rw=randread', '--bs=4k', '--iodepth=8', '--size=16M']
  const load = startFio(disk!.node, folder.path, args)
  const look = async () => (await ls(folder.path, control)).pairs.map(({ state, parked }) => [state, parked])
  await expect.poll(look, patient).toEqual([['stalled', 8]])
  expect(await blockbraid(folder.path, 'ls', '--control', control)).toMatch(/stalled/i)
  agent.kill('SIGINT')
  // What waits would otherwise wait for 30 s, the default noPathTimeout.
  expect((await agent.ended).code).toBe(0)
  expect((await load.ended).code).not.toBe(0)
})
