import type { VolumeId } from '@blockbraid/core'
import type { Size } from '@blockbraid/target-memory'
import { forms } from './forms.ts'
import { madeId } from './identity.ts'
import type { Lab, LabPort } from './lab.ts'

/** What `port N` may be followed by that concerns connections or what is held. */
const portVerbs: Readonly<Record<string, (port: LabPort, lab: Lab) => unknown>> = {
  down: async (port) => {
    await port.wire.down()
    port.up = false
  },
  up: async (port) => {
    await port.wire.up()
    port.up = true
  },
  cut: ({ wire }) => wire.cut(),
  reset: ({ wire }) => wire.reset(),
  'blackhole on': (port) => setBlackhole(port, true),
  'blackhole off': (port) => setBlackhole(port, false),
  hold: ({ gate }) => gate.close(),
  hang: ({ number }, { storage }) => storage.hang(number),
  release: release,
}

/**
 * Does what a line of words says. Throws a TypeError that names what is wrong; whatever is not about connections is a
 * command of target-memory's array.
 */
export async function runWords(lab: Lab, line: string): Promise<void> {
  const words = line.trim().replace(/\s+/g, ' ')
  const [, which, verb] = /^port (\d+|all) (.+)$/.exec(words) ?? []
  const act = verb === undefined || !Object.hasOwn(portVerbs, verb) ? undefined : portVerbs[verb]
  if (act !== undefined) {
    for (const port of portsOf(lab, which!)) await act(port, lab)
    return
  }
  if (words === 'heal') return heal(lab)
  if (words.startsWith('volume add ')) return addVolume(lab, words.slice('volume add '.length).split(' '))
  const [, removed] = /^volume (\S+) remove$/.exec(words) ?? []
  if (removed !== undefined) return lab.storage.run(`volume ${removed} unmap all`)
  // Those that are about a link are done above, on the wire.
  if (/^(controller|power|fences) /.test(words)) throw unknown(line)
  try {
    lab.storage.run(words)
  } catch (error) {
    throw error instanceof TypeError && error.message.startsWith('command is ') ? unknown(line) : error
  }
}

function unknown(line: string): TypeError {
  return new TypeError(`"${line}" is no command: it must be one of: ${forms.map(([words]) => words).join('; ')}`)
}

function portsOf({ ports }: Lab, which: string): readonly LabPort[] {
  if (which === 'all') return ports
  const port = ports[Number(which)]
  if (port !== undefined) return [port]
  throw new TypeError(`port is ${which}; it must be all, or a number from 0 to ${ports.length - 1}`)
}

function setBlackhole(port: LabPort, on: boolean): void {
  port.wire.blackhole(on)
  port.blackhole = on
}

function release({ number, gate }: LabPort, { storage }: Lab): void {
  gate.open()
  storage.release(number)
}

async function heal(lab: Lab): Promise<void> {
  lab.storage.heal()
  for (const array of lab.arrays) array.heal()
  for (const port of lab.ports) {
    setBlackhole(port, false)
    release(port, lab)
    lab.storage.slow(port.number, 0)
    if (!port.up) await portVerbs['up']?.(port, lab)
  }
}

function addVolume({ name, storage }: Lab, [size = '', ...more]: readonly string[]): void {
  const [blockSize] = more.filter((word) => /^\d+$/.test(word))
  const [id] = more.filter((word) => /^[a-z0-9]+\./.test(word))
  if (more.length !== [blockSize, id].filter((one) => one !== undefined).length) {
    throw new TypeError(`volume add takes a size, a block size and an identity, not "${[size, ...more].join(' ')}"`)
  }
  storage.addVolume({
    size: (/^\d+$/.test(size) ? Number(size) : size) as Size,
    ...(blockSize === undefined ? {} : { blockSize: Number(blockSize) as 512 | 4096 }),
    id: (id ?? madeId(name, storage.volumes.length)) as VolumeId,
  })
}
