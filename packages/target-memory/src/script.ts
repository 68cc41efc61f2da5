import type { Access, VolumeId } from '@blockbraid/core'
import { Errno, NOT_EXECUTED, PATH_ERROR } from '@blockbraid/core'
import type { VolumeChanges } from './options.ts'
import { wrong } from './options.ts'
import type { Size } from './sizes.ts'
import type { MemoryArray, VolumeRef, Where } from './types.ts'

type Words = readonly string[]

interface Verb {
  readonly form: RegExp
  readonly help: string
  run(array: MemoryArray, words: Words): void
}

const FLAGS: Readonly<Record<string, keyof VolumeChanges>> = {
  'write-cache': 'writeCache',
  'read-only': 'readOnly',
  fua: 'fua',
  trim: 'trim',
  'write-zeroes': 'writeZeroes',
}

const V = '(\\S+)'
const N = '(\\d+)'
const P = '(\\d+|all)'

const verbs: readonly Verb[] = [
  verb(`port ${N} down`, 'port N down', (array, [port]) => array.portDown(Number(port))),
  verb(`port ${N} up`, 'port N up', (array, [port]) => array.portUp(Number(port))),
  verb(`port ${N} hang`, 'port N hang', (array, [port]) => array.hang(Number(port))),
  verb(`port ${N} release`, 'port N release', (array, [port]) => array.release(Number(port))),
  verb(`port ${N} slow ${N}`, 'port N slow MICROSECONDS', (array, [port, extra]) =>
    array.slow(Number(port), Number(extra)),
  ),
  verb(
    `port ${N} fail (\\S+) (\\w+)( path| not-executed|)`,
    'port N fail RATE ERRNO [path|not-executed]',
    (array, words) => {
      array.fail({ port: Number(words[0]), rate: Number(words[1]), status: statusOf(words[2]!, words[3]!) })
    },
  ),
  verb(
    `volume ${V} fail ${N} ${N} (\\w+)`,
    'volume V fail OFFSET LENGTH ERRNO',
    (array, [volume, offset, length, name]) => {
      const status = statusOf(name!, '')
      array.fail({ volume: volumeRef(volume!), offset: Number(offset), length: Number(length), status })
    },
  ),
  verb('heal', 'heal', (array) => array.heal()),
  verb(`controller ${N} down`, 'controller N down', (array, [controller]) => array.controllerDown(Number(controller))),
  verb(`controller ${N} up`, 'controller N up', (array, [controller]) => array.controllerUp(Number(controller))),
  verb('fences stick', 'fences stick', (array) => array.stickFences()),
  verb('fences free', 'fences free', (array) => array.freeFences()),
  verb(`volume ${V} grow (\\S+)`, 'volume V grow SIZE', (array, [volume, size]) =>
    array.grow(volumeRef(volume!), sizeOf(size!)),
  ),
  verb(`volume ${V} size (\\S+)`, 'volume V size SIZE', (array, [volume, size]) =>
    array.change(volumeRef(volume!), { size: sizeOf(size!) }),
  ),
  verb(
    `volume ${V} (${Object.keys(FLAGS).join('|')}) (on|off)`,
    `volume V ${Object.keys(FLAGS).join('|')} on|off`,
    (array, [volume, flag, state]) => array.change(volumeRef(volume!), { [FLAGS[flag!]!]: state === 'on' }),
  ),
  verb(`volume ${V} lose cache( late|)`, 'volume V lose cache [late]', (array, [volume, late]) =>
    array.loseCache(volumeRef(volume!), { late: late !== '' }),
  ),
  verb('power loss', 'power loss', (array) => array.powerLoss()),
  verb('power on', 'power on', (array) => array.powerOn()),
  verb(`volume ${V} cache (on|off)`, 'volume V cache on|off', (array, [volume, state]) =>
    array.setWriteCache(volumeRef(volume!), state === 'on'),
  ),
  verb(`volume ${V} protect ${P} (on|off)`, 'volume V protect N|all on|off', (array, [volume, port, state]) =>
    array.protect(volumeRef(volume!), portRef(port!), state === 'on'),
  ),
  verb(`volume ${V} unmap ${P}`, 'volume V unmap N|all', (array, [volume, port]) =>
    array.unmap(volumeRef(volume!), portRef(port!)),
  ),
  verb(`volume ${V} map ${P}(?: ${N})?`, 'volume V map N|all [LUN]', (array, [volume, port, lun]) =>
    array.map(volumeRef(volume!), portRef(port!), lun === undefined ? undefined : Number(lun)),
  ),
  verb(`port ${N} lun ${N} reuse ${V}`, 'port N lun L reuse V', (array, [port, lun, volume]) =>
    array.reuseLun(Number(port), Number(lun), volumeRef(volume!)),
  ),
  verb(
    `volume ${V} prefer (?:(port|controller) ${N}|all) (on|off)`,
    'volume V|all prefer port N|controller N|all on|off',
    (array, [volume, kind, number, state]) => {
      const where = (kind === undefined ? 'all' : { [kind]: Number(number) }) as Where
      array.prefer(volume === 'all' ? 'all' : volumeRef(volume!), where, state === 'on')
    },
  ),
  verb(`volume ${V} take (port|controller) ${N}`, 'volume V take port N|controller N', (array, words) => {
    const [volume, kind, number] = words
    array.take(volumeRef(volume!), { [kind!]: Number(number) } as unknown as Where)
  }),
  verb(
    `volume ${V} access (?:(port|controller) ${N}|all) (\\S+)`,
    'volume V|all access port N|controller N|all STATE',
    (array, [volume, kind, number, access]) => {
      const where = (kind === undefined ? 'all' : { [kind]: Number(number) }) as Where
      array.setAccess(volume === 'all' ? 'all' : volumeRef(volume!), where, access as Access)
    },
  ),
]

/** Does what a line of text says; see {@link MemoryArray.run}. */
export function runCommand(array: MemoryArray, command: string): void {
  const line = command.trim().replace(/\s+/g, ' ')
  for (const { form, run } of verbs) {
    const words = form.exec(line)
    if (words !== null) return run(array, words.slice(1))
  }
  throw wrong('command', command, `one of: ${verbs.map(({ help }) => help).join('; ')}`)
}

function verb(form: string, help: string, run: Verb['run']): Verb {
  return { form: new RegExp(`^${form}$`), help, run }
}

function volumeRef(text: string): VolumeRef {
  return /^\d+$/.test(text) ? Number(text) : (text as VolumeId)
}

function sizeOf(text: string): Size {
  return /^\d+$/.test(text) ? Number(text) : text
}

function portRef(text: string): number | 'all' {
  return text === 'all' ? 'all' : Number(text)
}

function statusOf(name: string, kind: string): number {
  const errno = (Errno as Readonly<Record<string, number>>)[name]
  if (errno === undefined) throw wrong('ERRNO', name, `one of ${Object.keys(Errno).join(', ')}`)
  if (kind === ' path') return errno | PATH_ERROR
  return kind === ' not-executed' ? errno | PATH_ERROR | NOT_EXECUTED : errno
}
