import { type Room, roomsOf, toolsOf } from './house.ts'

/** Files by regular expressions of their paths; in `to`, `$1` is what the first brackets in `from` found. */
interface Files {
  readonly path?: string | string[]
  readonly pathNot?: string | string[]
}

interface Imported extends Files {
  readonly circular?: true
  readonly couldNotResolve?: true
  readonly dependencyTypesNot?: ['aliased-tsconfig-paths']
}

/** Imports that are not allowed, as dependency-cruiser has it; `comment` says why. */
export interface Wall {
  readonly name: string
  readonly comment: string
  readonly severity: 'error'
  readonly from: Files
  readonly to: Imported
}

const INDEX = '^packages/[^/]+/src/index\\.ts$'
const BY_NAME = 'what is behind the index of a package changes without notice: it is known by its published name alone'

/** Every wall of the house in `root`. */
export function wallsOf(root: string): Wall[] {
  const rooms = roomsOf(root)
  return [...arrows, ...doors, ...circles, ...layers, ...declared(rooms, toolsOf(root))]
}

// Which package may need which.
const arrows: Wall[] = [
  wall(
    'core-alone',
    'core knows no protocol, no plugin and no node: eventemitter3 and p-queue are all that it needs',
    { path: '^packages/core/src/' },
    { pathNot: ['^packages/core/', 'node_modules/(eventemitter3|p-queue)/'] },
  ),
  wall(
    'linux-alone',
    'linux is system calls, and nothing of what they are for',
    { path: '^packages/linux/src/' },
    { path: '^packages/', pathNot: '^packages/linux/' },
  ),
  wall(
    'wire-below-plugins',
    'wire is what all plugins with a socket stand on: it needs core and linux',
    { path: '^packages/wire/src/' },
    { path: '^packages/', pathNot: '^packages/(wire|core|linux)/' },
  ),
  wall(
    'testkit-on-core',
    'testkit judges any plugin, so it knows none: it needs core alone',
    { path: '^packages/testkit/src/' },
    { path: '^packages/', pathNot: '^packages/(testkit|core)/' },
  ),
  wall(
    'plugins-apart',
    'a plugin works without its siblings: policies, targets, arrays and transports need core, wire and linux',
    { path: '^packages/((?:policy|target|array|transport)-[^/]+)/src/' },
    { path: '^packages/', pathNot: '^packages/($1|core|wire|linux)/' },
  ),
  wall(
    'agent-on-top',
    'the agent puts the packages together: none of them, nor its tests, needs it',
    { path: '^packages/', pathNot: '^packages/agent/' },
    { path: '^packages/agent/' },
  ),
]

// How to come in.
const doors: Wall[] = [
  wall(
    'by-name',
    BY_NAME,
    { path: '^packages/([^/]+)/' },
    { path: '^packages/', pathNot: '^packages/$1/', dependencyTypesNot: ['aliased-tsconfig-paths'] },
  ),
  wall(
    'by-name',
    BY_NAME,
    { pathNot: '^packages/' },
    { path: '^packages/', dependencyTypesNot: ['aliased-tsconfig-paths'] },
  ),
  wall(
    'out-only',
    'an index shows what a package has to those outside; a file inside asks the file that has it',
    { path: '^packages/([^/]+)/src/' },
    { path: '^packages/$1/src/index\\.ts$' },
  ),
  wall(
    'tests-on-top',
    'what is published needs nothing of tests, benches, scripts and examples',
    { path: '^packages/[^/]+/src/' },
    { path: ['^packages/[^/]+/test/', '^(test|bench|scripts|examples)/'] },
  ),
  wall(
    'examples-stand-alone',
    'an example is what a user has: its own files and published names',
    { path: '^examples/([^/]+)/' },
    { path: '^(packages|test|bench|scripts|examples)/', pathNot: ['^examples/$1/', INDEX] },
  ),
  wall(
    'benches-apart',
    'a bench measures what users get: its own files and published names',
    { path: '^bench/' },
    { path: '^(packages|test|scripts|examples)/', pathNot: INDEX },
  ),
  wall('found', 'no package publishes this, and no file is there', {}, { couldNotResolve: true }),
]

const circles: Wall[] = [
  wall(
    'no-circles',
    'files that need each other, be it for types, are one file in pieces: what both need belongs below both',
    {},
    { circular: true },
  ),
]

// Files beside the index.
const BESIDE = '(?!index\\.ts$)[^/]+$'

// Rooms within a package, the lowest first; rooms that stand in one line do not know each other.
const layers: Wall[] = [
  ...layered(
    'core',
    [[BESIDE], ['multipath/'], ['agent/']],
    'the contract knows no device, the multipath device no agent: an import goes downward',
  ),
  ...layered(
    'linux',
    [[BESIDE], ['host/']],
    'a system call knows nothing of what is made of it: an import goes downward',
  ),
  ...layered(
    'testkit',
    [['data/', 'harness/', 'time/', 'nbd/'], ['minimal/'], ['doubles/'], ['suites/', 'simulation/'], ['mutants/']],
    'what judges stands on what it judges with, and what proves the judge on both: an import goes downward',
  ),
  ...layered(
    'target-iscsi',
    [
      ['login/', 'pdu/', 'scsi/'],
      ['session/'],
      ['target/place/'],
      ['target/options/', 'target/unit/'],
      ['target/nexus/'],
      ['target/path/', 'target/discovery/'],
      ['target/[^/]+$'],
    ],
    'bytes and values know no session, a session no target, a nexus no path: an import goes downward',
  ),
  ...layered(
    'array-iscsi',
    [['pdu/'], ['login/', 'scsi/'], ['session/'], [BESIDE]],
    'bytes and values know no session, logical units no connection: an import goes downward',
  ),
  ...layered(
    'array-nvmeof',
    [
      ['auth/', 'nvme/', 'pdu/', 'tls/'],
      ['options/'],
      ['namespace/'],
      ['request/'],
      ['io/'],
      ['controller/'],
      ['queue/'],
      [BESIDE],
    ],
    'bytes and values know no namespace, commands no controller, a controller no connection: an import goes downward',
  ),
  ...layered(
    'target-nvmeof',
    [
      ['pdu/', 'nvme/', 'place/'],
      ['queue/', 'auth/', 'tls/'],
      ['options/', 'controller/'],
      ['association/'],
      ['fence/', 'unit/'],
      ['path/', 'discovery/'],
      [BESIDE],
    ],
    'bytes and values know no queue, a queue no controller, an association no path: an import goes downward',
  ),
  ...layered(
    'transport-nbd',
    [['transmission/'], ['handshake/', 'kernel/']],
    'transmission is the same whoever has opened the connection: an import goes downward',
  ),
  ...layered(
    'agent',
    [
      ['files/', 'log/', 'state/', 'text/'],
      ['config/'],
      ['plan/', 'plugins/', 'terminal/'],
      ['nodes/', 'watchdog/'],
      ['pairs/'],
      ['running/', 'snapshot/'],
      ['control/', 'format/', 'top/'],
      ['agent/', 'array/', 'by-hand/'],
      ['nvme/', 'scsi/'],
      ['demo/'],
      ['commands/'],
      [BESIDE],
    ],
    'config, plugins, pairs, all that runs, control, commands: each knows only what is below',
  ),
]

function layered(name: string, order: readonly (readonly string[])[], why: string): Wall[] {
  const src = `^packages/${name}/src/`
  return order.flatMap((line, at) =>
    line.flatMap((room) => {
      const closed = [...line.filter((other) => other !== room), ...order.slice(at + 1).flat()]
      const to = { path: closed.map((other) => src + other) }
      return closed.length === 0 ? [] : [wall(`rooms-of-${name}`, why, { path: src + room }, to)]
    }),
  )
}

// What a file imports stands in the package.json beside it.
function declared(rooms: readonly Room[], tools: readonly string[]): Wall[] {
  const why = 'it is not in the package.json of who imports it, so it may be missing where that is installed'
  const folders = new Map(rooms.map(({ name, folder }) => [name, folder]))
  const places = (names: readonly string[]) =>
    names.map((name) => (folders.has(name) ? `^${folders.get(name)}/` : `node_modules/${name}/`))
  return rooms.flatMap(({ folder, needs, needsToTest }) => {
    const published = folder.startsWith('packages/') ? `^${folder}/src/` : `^${folder}/`
    const own = [`^${folder}/`, ...places(needs)]
    const foreign = ['^packages/', 'node_modules/']
    return [
      wall('declared', why, { path: published }, { path: foreign, pathNot: own }),
      wall(
        'declared',
        why,
        { path: `^${folder}/`, pathNot: published },
        { path: foreign, pathNot: [...own, ...places(needsToTest), ...places(tools)] },
      ),
    ]
  })
}

function wall(name: string, comment: string, from: Files, to: Imported): Wall {
  return { name, comment, severity: 'error', from, to }
}
