import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { IscsiArray, IscsiArrayOfOptions } from '@blockbraid/array-iscsi'
import { iscsiArrayOf } from '@blockbraid/array-iscsi'
import type { MemoryArray, MemoryOptions } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { connectNbd } from '@blockbraid/testkit'

/** A fault, and what is to be said of it. */
export interface Fault {
  readonly name: string
  readonly title: string
  /** What was done, and what to look at. */
  readonly about: string
  /** What to do about it. */
  readonly cure: string
  run(stage: Stage): Promise<void>
}

/** What a fault is played with. */
export interface Stage {
  /** An array behind portals at 127.0.9.FIRST and up. */
  array(name: string, first: number, storage: MemoryOptions, options?: Partial<IscsiArrayOfOptions>): Promise<Played>
  /** Starts the agent with these lines of `targets`, and more of the config. */
  up(targets: readonly string[], devices?: string): Promise<void>
  /** Reads and writes a volume, a little, until the end. */
  load(pair: string): void
  /** Prints what a command says. */
  show(...words: readonly string[]): Promise<void>
}

/** An array that can be broken, on the wire and behind it. */
export interface Played {
  readonly wire: IscsiArray
  readonly storage: MemoryArray
}

const command = new URL('../../packages/agent/dist/cli.js', import.meta.url).pathname
// Between two I/Os of the load, milliseconds.
const PACE = 2
const INITIATOR = 'iqn.2026-11.io.example:host1'

/** Plays a fault; the section of the page about it. */
export async function onStage(fault: Fault): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'blockbraid-faults-'))
  const control = join(folder, 'control.sock')
  const shown: string[] = []
  const ends: (() => Promise<void>)[] = []
  let over = false
  const stage: Stage = {
    async array(name, first, storage, options = {}) {
      const inner = memory(storage)
      const portals = Array.from({ length: inner.array.ports.length }, (_, n) => ({
        host: `127.0.9.${first + n}`,
        port: 3260,
      }))
      const wire = await iscsiArrayOf(inner, { name: `iqn.2026-11.io.example:${name}`, portals, ...options })
      ends.push(async () => {
        await wire.close()
        await inner.close({ signal: AbortSignal.timeout(1000) }).catch(() => {})
      })
      return { wire, storage: inner.array }
    },
    async up(targets, devices = '') {
      const config = `control: ${control}
state: ${folder}/state
initiator: ${INITIATOR}
targets:
${targets.map((line) => `  - ${line}`).join('\n')}
devices:
  - { volume: "*", name: "vol-{n}", policy: round-robin, transport: { use: nbd, socket: ${folder}/nbd.sock }${devices} }
`
      await writeFile(join(folder, 'config.yaml'), config)
      const agent = spawn(process.execPath, [command, 'up', join(folder, 'config.yaml')], { cwd: folder })
      ends.push(async () => {
        agent.kill('SIGKILL')
        if (agent.exitCode === null) await once(agent, 'exit')
      })
      let log = ''
      agent.stderr.on('data', (text) => {
        log += String(text)
      })
      await new Promise<void>((resolve, reject) => {
        agent.stdout.on('data', (text) => String(text).includes('Ctrl-C') && resolve())
        agent.on('exit', () => reject(new Error(`the agent has ended: ${log}`)))
      })
    },
    load(pair) {
      const work = async (): Promise<void> => {
        const client = await connectNbd(`nbd+unix:///${pair}?socket=${folder}/nbd.sock`)
        const lanes = Array.from({ length: 4 }, async (_, lane) => {
          for (let n = 0; !over; n++) {
            const at = ((n * 4 + lane) % 1000) * 4096
            const io = n % 3 === 0 ? client.write(at, Buffer.alloc(4096, n)) : client.read(at, 4096)
            await io.catch(() => {})
            await sleep(PACE)
          }
        })
        await Promise.all(lanes)
      }
      void work().catch(() => {})
    },
    async show(...words) {
      const told = await run([...words, '--control', control])
      shown.push(`$ blockbraid ${words.join(' ')}\n${told}`)
    },
  }
  try {
    await fault.run(stage)
  } finally {
    over = true
    for (const end of ends.toReversed()) await end()
    await rm(folder, { recursive: true, force: true })
  }
  const text = shown.join('\n').replaceAll('127.0.9.', '192.0.2.').replaceAll(folder, '/run/blockbraid')
  return `### ${fault.title}\n\n${fault.about}\n\n\`\`\`text\n${text}\`\`\`\n\n${fault.cure}\n`
}

/** Runs the command on a terminal of 80 columns. */
async function run(args: readonly string[]): Promise<string> {
  const line = [process.execPath, command, ...args].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qec', `stty cols 80; ${line}`, '/dev/null'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (part) => {
    text += String(part)
  })
  await once(child, 'close')
  return text.replaceAll('\r', '')
}
