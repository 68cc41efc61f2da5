import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChaosProxy } from '@blockbraid/testkit'
import { createChaosProxy, randomInt } from '@blockbraid/testkit'
import { expect } from 'vitest'
import type { Folder } from './support/bed.ts'
import { openFolder } from './support/bed.ts'
import { command, ls } from './support/cli.ts'
import { mixedData } from './support/data.ts'
import { fioJob, startFio, verifiedMix } from './support/fio.ts'
import { seeded } from './support/seed.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'
import { start, succeed } from './support/tools.ts'

const patient = { timeout: 30_000 }
const MiB = 2 ** 20
const IMAGE = 128 * MiB
const SECONDS = Number(process.env['ISCSI_CHAIN_SECONDS'] ?? 120)
const busy = ['--connections=4', '--requests=64']

/** An ext4 image with a tree in it. */
async function makeImage(folder: Folder, seed: number, random: () => number): Promise<string> {
  const tree = folder.at('tree')
  await mkdir(join(tree, 'deep/er'), { recursive: true })
  for (let n = 0; n < 12; n++) await writeFile(join(tree, `deep/er/mixed-${n}`), mixedData(4 * MiB, seed + n, random))
  for (let n = 0; n < 500; n++) await writeFile(join(tree, 'deep', `small-${n}`), `${n}\n`)
  const image = folder.at('in.img')
  await succeed('mkfs.ext4', ['-q', '-b', '4096', '-d', tree, image, `${IMAGE / 1024}k`])
  return image
}

/** Does something bad to one of the proxies; the result ends it. The words say what it was. */
function mishap(proxy: ChaosProxy, random: () => number): { words: string; heal: () => Promise<void> | void } {
  switch (randomInt(random, 6)) {
    case 0: {
      const offset = randomInt(random, 200_000)
      proxy.cutAt(offset, random() < 0.5 ? 'up' : 'down')
      return { words: `cut at byte ${offset}`, heal: () => {} }
    }
    case 1:
      proxy.hold('both')
      return { words: 'hold', heal: () => proxy.release('both') }
    case 2:
      proxy.blackhole(true)
      return { words: 'blackhole', heal: () => proxy.blackhole(false) }
    case 3:
      proxy.delay(200)
      return { words: 'delay', heal: () => proxy.delay(0) }
    case 4:
      void proxy.refuse(true)
      proxy.cut()
      return { words: 'refuse', heal: () => proxy.refuse(false) }
    default:
      proxy.cut()
      return { words: 'cut', heal: () => {} }
  }
}

/** Mishaps at one portal after the other, every few seconds, until `work` has settled; the other one serves. */
async function cutDuring(
  work: Promise<unknown>,
  proxies: readonly [ChaosProxy, ChaosProxy],
  random: () => number,
  wellAgain: () => Promise<void>,
): Promise<string[]> {
  const history: string[] = []
  let running = true
  const settled = work.then(
    () => (running = false),
    () => (running = false),
  )
  for (let step = 0; running; step++) {
    const { words, heal } = mishap(proxies[step % 2]!, random)
    history.push(`${words} at portal ${step % 2}`)
    await Promise.race([settled, sleep(500 + randomInt(random, 3000))])
    await heal()
    await wellAgain()
  }
  return history
}

itWithTgt(
  `the whole chain: an ext4 image and fio verify over two portals of which one is cut every few seconds, ${SECONDS} s`,
  async () => {
    const { seed, random } = seeded()
    await using folder = await openFolder()
    await using tgt = await openTgt()
    const target = await tgt.addTarget({
      params: { MaxRecvDataSegmentLength: 262_144, InitialR2T: false, FirstBurstLength: 262_144 },
    })
    await target.addLun({ size: 2 * IMAGE })
    const proxyOf = (portal: string): Promise<ChaosProxy> => {
      const [host = '', port = ''] = portal.split(':')
      return createChaosProxy({ to: { host, port: Number(port) } })
    }
    await using first = await proxyOf(tgt.portals[0])
    await using second = await proxyOf(tgt.portals[1])
    const control = folder.at('control.sock')
    await writeFile(
      folder.at('config.yaml'),
      `control: ${control}
initiator: iqn.2026-11.test:chain
targets:
  - use: iscsi
    portals: ["${first.address}", "${second.address}"]
    toldPortals: false
    target: ${target.name}
    keepAliveInterval: 500
    keepAliveTimeout: 1000
    pollInterval: 500
    taskTimeout: 1000
devices:
  - volume: "*"
    name: disk
    policy: queue-depth
    multipath: { reconnectDelay: 50, reconnectDelayMax: 500 }
    transport: { use: nbd, socket: ${folder.at('nbd.sock')} }
`,
    )
    const limit = (SECONDS + 180) * 1000
    const agent = start(process.execPath, [command, 'up', folder.at('config.yaml')], { cwd: folder.path, limit })
    const up = async (): Promise<number> => {
      const { pairs } = await ls(folder.path, control)
      return pairs.flatMap(({ paths }) => paths).filter(({ state }) => state === 'up').length
    }
    const wellAgain = (): Promise<void> => expect.poll(() => up().catch(() => 0), patient).toBe(2)
    await wellAgain()
    const uri = `nbd+unix:///disk?socket=${folder.at('nbd.sock')}`
    const image = await makeImage(folder, seed, random)

    const work = async (): Promise<void> => {
      await succeed('nbdcopy', [...busy, '--flush', image, uri], { limit })
      // The half behind the image.
      const job = [...verifiedMix, `--offset=${IMAGE}`, `--size=${IMAGE}`, '--time_based', `--runtime=${SECONDS}`]
      const { writes } = fioJob(await startFio(uri, folder.path, job, limit).ended)
      expect(writes).toBeGreaterThan(1000)
    }
    const working = work()
    const history = await cutDuring(working, [first, second], random, wellAgain)
    await working.catch((cause: unknown) => {
      throw new Error(`after ${history.join(', ')}\n${agent.stdout}`, { cause })
    })
    expect(history.length, history.join(', ')).toBeGreaterThan(SECONDS / 10)

    const out = folder.at('out.img')
    await succeed('nbdcopy', [...busy, uri, out], { limit })
    await succeed('cmp', ['-n', String(IMAGE), image, out])
    await succeed('e2fsck', ['-fn', out])
    agent.kill('SIGTERM')
    const { code, stderr } = await agent.ended
    expect(code, stderr).toBe(0)
  },
  (SECONDS + 180) * 1000,
)
