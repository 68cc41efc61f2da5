import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Files by their path; an object is written as JSON. */
export type Files = Record<string, string | object>

const tools = { devDependencies: { vitest: '^1.0.0' } }
const needsCore = { peerDependencies: { '@blockbraid/core': '^1.0.0' } }

// A small house in which every wall stands; everybody has declared more than is allowed, so that one wall falls at a time.
const house: Files = {
  'package.json': { name: 'house', ...tools },
  'tsconfig.json': {
    compilerOptions: {
      module: 'nodenext',
      allowImportingTsExtensions: true,
      noEmit: true,
      paths: { '@blockbraid/*': ['./packages/*/src/index.ts'], blockbraid: ['./packages/agent/src/index.ts'] },
    },
  },
  ...library('eventemitter3'),
  ...library('p-queue'),
  ...library('vitest'),
  ...library('yaml'),

  ...room('core', { dependencies: { eventemitter3: '^1.0.0', 'p-queue': '^1.0.0', yaml: '^1.0.0' } }),
  'packages/core/src/index.ts': "export type { Io } from './io.ts'\nexport { Agent } from './agent/agent.ts'\n",
  'packages/core/src/io.ts': 'export interface Io { length: number }\n',
  'packages/core/src/multipath/engine.ts': "import type { Io } from '../io.ts'\nexport class Engine { io?: Io }\n",
  'packages/core/src/agent/agent.ts':
    "import PQueue from 'p-queue'\nimport { Engine } from '../multipath/engine.ts'\nexport class Agent { turns = new PQueue(); engine = new Engine() }\n",
  'packages/core/test/engine.test.ts':
    "import { test } from 'vitest'\nimport { suite } from '@blockbraid/testkit'\nimport { Engine } from '../src/multipath/engine.ts'\ntest('engine', () => suite(new Engine()))\n",

  ...room('linux', needsCore),
  'packages/linux/src/index.ts': "export { readFileSync } from 'node:fs'\n",
  'packages/linux/src/host/claim.ts': 'export const claim = 1\n',

  ...room('wire', { ...needsCore, dependencies: { '@blockbraid/linux': '^1.0.0', '@blockbraid/testkit': '^1.0.0' } }),
  'packages/wire/src/index.ts': "import '@blockbraid/linux'\nexport type { Io } from '@blockbraid/core'\n",

  ...room('testkit', { ...needsCore, dependencies: { '@blockbraid/wire': '^1.0.0' } }),
  'packages/testkit/src/index.ts':
    "import type { Io } from '@blockbraid/core'\nexport const suite = (_: unknown, io?: Io) => io\n",
  'packages/testkit/src/suites/path.ts': 'export interface Case { name: string }\n',

  ...room('policy-first', needsCore),
  'packages/policy-first/src/index.ts':
    "import type { Io } from '@blockbraid/core'\nexport const first = (io: Io) => io\n",

  ...room('target-iscsi', {
    ...needsCore,
    dependencies: { '@blockbraid/wire': '^1.0.0', '@blockbraid/policy-first': '^1.0.0' },
  }),
  'packages/target-iscsi/src/index.ts': "export { iscsi } from './target/target.ts'\n",
  'packages/target-iscsi/src/pdu/parser.ts': 'export const parse = 1\n',
  'packages/target-iscsi/src/scsi/sense.ts': 'export const sense = 1\n',
  'packages/target-iscsi/src/session/session.ts':
    "import '@blockbraid/wire'\nimport { parse } from '../pdu/parser.ts'\nexport const session = parse\n",
  'packages/target-iscsi/src/target/path/path.ts': 'export const path = 1\n',
  'packages/target-iscsi/src/target/target.ts':
    "import { session } from '../session/session.ts'\nexport const iscsi = session\n",

  ...room('array-iscsi', needsCore),
  'packages/array-iscsi/src/session/session.ts': 'export const session = 1\n',

  ...room('transport-nbd', needsCore),
  'packages/transport-nbd/src/kernel/link.ts': 'export const link = 1\n',

  ...room('agent', {
    name: 'blockbraid',
    dependencies: { '@blockbraid/core': '^1.0.0', '@blockbraid/target-iscsi': '^1.0.0', yaml: '^1.0.0' },
  }),
  'packages/agent/src/control/server.ts': 'export const server = 1\n',
  'packages/agent/src/index.ts':
    "import { Agent } from '@blockbraid/core'\nimport { iscsi } from '@blockbraid/target-iscsi'\nimport 'yaml'\nexport const run = [Agent, iscsi]\n",

  'examples/embed/package.json': { name: 'example', dependencies: { '@blockbraid/core': '^1.0.0' } },
  'examples/embed/embed.ts': "import { Agent } from '@blockbraid/core'\nnew Agent()\n",
  'bench/run.ts': "import { run } from 'blockbraid'\nrun.pop()\n",
  'test/peers/peers.test.ts': "import { run } from 'blockbraid'\nrun.pop()\n",
  'scripts/setup.ts': "import '../test/peers/peers.test.ts'\n",
}

/** A sound house with these files beside or in place of its own, in a new folder below the one for temporary files. */
export async function build(changes: Files = {}): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'blockbraid-walls-'))
  for (const [path, content] of Object.entries({ ...house, ...changes })) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return root
}

function room(folder: string, manifest: object): Files {
  const name = `@blockbraid/${folder}`
  const devDependencies = folder === 'core' ? { '@blockbraid/testkit': '^1.0.0', blockbraid: '^1.0.0' } : {}
  return { [`packages/${folder}/package.json`]: { name, devDependencies, ...manifest } }
}

function library(name: string): Files {
  return {
    [`node_modules/${name}/package.json`]: { name, version: '1.0.0', type: 'module', exports: './index.js' },
    [`node_modules/${name}/index.js`]: 'export default class {}\nexport const test = () => {}\n',
  }
}
