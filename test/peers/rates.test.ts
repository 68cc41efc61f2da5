import { writeFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { openFolder } from './support/bed.ts'
import { blockbraid, ls, startBlockbraid } from './support/cli.ts'
import { fioJob, startFio, verifiedMix } from './support/fio.ts'

const SECONDS = 5

it('fio is held to the rates of a pair, also while they are exchanged, and finds what it wrote', async () => {
  await using folder = await openFolder()
  const control = folder.at('control.sock')
  await writeFile(
    folder.at('blockbraid.yaml'),
    `control: ${control}
targets: [{ use: memory, volumes: [{ size: 64MiB }], ports: 2 }]
devices:
  - volume: "*"
    name: disk
    rates: { iops: 1000, burst: 200ms }
    transport: { use: nbd, socket: ${folder.at('nbd.sock')} }
`,
  )
  const agent = startBlockbraid(folder.path, 'up', 'blockbraid.yaml')
  await agent.printed((stdout) => stdout.includes('control socket'))
  const look = async () => (await ls(folder.path, control)).pairs[0]!
  const limit = (...words: string[]) => blockbraid(folder.path, 'limit', 'disk', ...words, '--control', control)
  const done = async (): Promise<number> => (await look()).paths.reduce((sum, { ios }) => sum + ios, 0)
  const { node } = await look()

  const begun = performance.now()
  const before = await done()
  const args = ['--size=64M', '--time_based', `--runtime=${SECONDS}`]
  const reading = startFio(node, folder.path, ['--rw=randread', '--bs=4k', '--iodepth=64', ...args])
  const { reads } = fioJob(await reading.ended)
  const went = (await done()) - before
  // However slow the machine: no more than the burst, what the time allows, and a timer's tenth of a second.
  expect(went).toBeLessThanOrEqual(200 + ((performance.now() - begun) / 1000) * 1000 + 100)
  console.log(`fio read ${reads} times in ${SECONDS} s at 1000 IOPS and a burst of 200`)
  expect(reads).toBeGreaterThan(0)

  const load = startFio(node, folder.path, [...verifiedMix, ...args])
  let running = true
  void load.ended.finally(() => (running = false))
  for (let round = 0; running; round++) {
    await limit(...(round % 3 === 2 ? ['none'] : ['iops=2000', `bytes=${round % 2 === 0 ? 64 : 16}MiB/s`]))
  }
  expect(fioJob(await load.ended).writes).toBeGreaterThan(100)
  agent.kill('SIGINT')
  expect((await agent.ended).code).toBe(0)
})
