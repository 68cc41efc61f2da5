import { rm } from 'node:fs/promises'
import { afterEach, expect, test } from 'vitest'
import { lookAt } from '../../scripts/walls/look.ts'
import { build, type Files } from './support/tree.ts'

const roots: string[] = []

afterEach(async () => {
  for (const root of roots.splice(0)) await rm(root, { recursive: true })
})

/** What is told of a sound house with these files in it, by wall. */
async function told(changes: Files): Promise<Record<string, readonly string[]>> {
  const root = await build(changes)
  roots.push(root)
  const { breaches } = await lookAt(root)
  return Object.fromEntries(breaches.map(({ wall, imports }) => [wall, imports]))
}

test('in a sound house every wall stands', async () => {
  expect(await told({})).toEqual({})
})

const core = 'packages/core/src/index.ts'
const iscsi = 'packages/target-iscsi/src/index.ts'
const first = 'packages/policy-first/src/index.ts'

const cases: [fault: string, wall: string, file: string, content: string, words: string][] = [
  ['core imports a module of node', 'core-alone', 'packages/core/src/a.ts', "import 'node:net'", 'net'],
  [
    'core imports a library that is not one of its two, for a type',
    'core-alone',
    'packages/core/src/a.ts',
    "export type Yaml = typeof import('yaml')",
    'yaml, node_modules/yaml/index.js',
  ],
  [
    'linux imports core',
    'linux-alone',
    'packages/linux/src/a.ts',
    "import '@blockbraid/core'",
    `@blockbraid/core, ${core}`,
  ],
  [
    'wire imports what is not below it',
    'wire-below-plugins',
    'packages/wire/src/a.ts',
    "import '@blockbraid/testkit'",
    '@blockbraid/testkit, packages/testkit/src/index.ts',
  ],
  [
    'testkit imports wire',
    'testkit-on-core',
    'packages/testkit/src/a.ts',
    "export type * from '@blockbraid/wire'",
    '@blockbraid/wire, packages/wire/src/index.ts',
  ],
  [
    'a plugin imports its sibling',
    'plugins-apart',
    'packages/target-iscsi/src/target/a.ts',
    "import type { first } from '@blockbraid/policy-first'\nexport type First = typeof first",
    `@blockbraid/policy-first, ${first}`,
  ],
  [
    'a package imports the agent, in a test',
    'agent-on-top',
    'packages/core/test/a.test.ts',
    "import 'blockbraid'",
    'blockbraid, packages/agent/src/index.ts',
  ],
  [
    'a plugin imports the inside of core, by a path',
    'by-name',
    'packages/policy-first/src/a.ts',
    "export type { Io } from '../../core/src/io.ts'",
    '../../core/src/io.ts, packages/core/src/io.ts',
  ],
  [
    'a test of all imports the inside of a package',
    'by-name',
    'test/peers/a.test.ts',
    "import '../../packages/core/src/io.ts'",
    '../../packages/core/src/io.ts, packages/core/src/io.ts',
  ],
  [
    'a plugin imports core by a path, not by its name',
    'by-name',
    'packages/policy-first/src/a.ts',
    "import '../../core/src/index.ts'",
    `../../core/src/index.ts, ${core}`,
  ],
  [
    'a bench imports a package by a path, not by its name',
    'by-name',
    'bench/a.ts',
    "import '../packages/core/src/index.ts'",
    `../packages/core/src/index.ts, ${core}`,
  ],
  [
    'a plugin imports the inside of core, behind its name',
    'found',
    'packages/policy-first/src/a.ts',
    "export type { Io } from '@blockbraid/core/src/io.ts'",
    '@blockbraid/core/src/io.ts',
  ],
  [
    'a file inside of a package imports the index',
    'out-only',
    'packages/target-iscsi/src/target/a.ts',
    "import '../index.ts'",
    `../index.ts, ${iscsi}`,
  ],
  [
    'sources import a test',
    'tests-on-top',
    'packages/core/src/a.ts',
    "import '../test/engine.test.ts'",
    '../test/engine.test.ts, packages/core/test/engine.test.ts',
  ],
  [
    'an example imports what is not its own',
    'examples-stand-alone',
    'examples/embed/a.ts',
    "import '../../scripts/setup.ts'",
    '../../scripts/setup.ts, scripts/setup.ts',
  ],
  [
    'a bench imports a test',
    'benches-apart',
    'bench/a.ts',
    "import '../test/peers/peers.test.ts'",
    '../test/peers/peers.test.ts, test/peers/peers.test.ts',
  ],
  [
    'the multipath device imports the host agent above it',
    'rooms-of-core',
    'packages/core/src/multipath/a.ts',
    "import '../agent/agent.ts'",
    '../agent/agent.ts, packages/core/src/agent/agent.ts',
  ],
  [
    'the contract imports the multipath device',
    'rooms-of-core',
    'packages/core/src/a.ts',
    "import './multipath/engine.ts'",
    './multipath/engine.ts, packages/core/src/multipath/engine.ts',
  ],
  [
    'a session of iSCSI imports the target above it',
    'rooms-of-target-iscsi',
    'packages/target-iscsi/src/session/a.ts',
    "import '../target/target.ts'",
    '../target/target.ts, packages/target-iscsi/src/target/target.ts',
  ],
  [
    'a parser imports a room in the same line',
    'rooms-of-target-iscsi',
    'packages/target-iscsi/src/pdu/a.ts',
    "import '../scsi/sense.ts'",
    '../scsi/sense.ts, packages/target-iscsi/src/scsi/sense.ts',
  ],
  [
    'a nexus imports a path through it',
    'rooms-of-target-iscsi',
    'packages/target-iscsi/src/target/nexus/a.ts',
    "import '../path/path.ts'",
    '../path/path.ts, packages/target-iscsi/src/target/path/path.ts',
  ],
  [
    'a system call imports what is made of it',
    'rooms-of-linux',
    'packages/linux/src/a.ts',
    "import './host/claim.ts'",
    './host/claim.ts, packages/linux/src/host/claim.ts',
  ],
  [
    'a double of testkit imports a suite',
    'rooms-of-testkit',
    'packages/testkit/src/doubles/a.ts',
    "import type { Case } from '../suites/path.ts'\nexport type A = Case",
    '../suites/path.ts, packages/testkit/src/suites/path.ts',
  ],
  [
    'a logical unit of the array imports a session',
    'rooms-of-array-iscsi',
    'packages/array-iscsi/src/scsi/a.ts',
    "import '../session/session.ts'",
    '../session/session.ts, packages/array-iscsi/src/session/session.ts',
  ],
  [
    'the transmission of NBD imports the kernel that it may serve',
    'rooms-of-transport-nbd',
    'packages/transport-nbd/src/transmission/a.ts',
    "import '../kernel/link.ts'",
    '../kernel/link.ts, packages/transport-nbd/src/kernel/link.ts',
  ],
  [
    'a pair imports the control socket',
    'rooms-of-agent',
    'packages/agent/src/pairs/a.ts',
    "import '../control/server.ts'",
    '../control/server.ts, packages/agent/src/control/server.ts',
  ],
  [
    'a package imports a library that is not in its package.json',
    'declared',
    'packages/target-iscsi/src/scsi/a.ts',
    "import 'yaml'",
    'yaml, node_modules/yaml/index.js',
  ],
  [
    'a package imports another one that is not in its package.json',
    'declared',
    'packages/policy-first/src/a.ts',
    "import '@blockbraid/wire'",
    '@blockbraid/wire, packages/wire/src/index.ts',
  ],
  [
    'sources import what only tests may',
    'declared',
    'packages/policy-first/src/a.ts',
    "import 'vitest'",
    'vitest, node_modules/vitest/index.js',
  ],
  [
    'a test imports a package that is not in the package.json beside it',
    'declared',
    'packages/core/test/a.test.ts',
    "import '@blockbraid/wire'",
    '@blockbraid/wire, packages/wire/src/index.ts',
  ],
  [
    'an example imports a package that is not in its package.json',
    'declared',
    'examples/embed/a.ts',
    "import '@blockbraid/wire'",
    '@blockbraid/wire, packages/wire/src/index.ts',
  ],
]

for (const [fault, wall, file, content, words] of cases) {
  test(`${fault}: ${wall}`, async () => {
    expect(await told({ [file]: `${content}\n` })).toEqual({ [wall]: [`${file} imports ${words}`] })
  })
}

test('files import each other for types, in src as in tests: each circle is told once: no-circles', async () => {
  const circles = await told({
    'packages/core/src/a.ts': "import type { B } from './b.ts'\nexport interface A { b?: B }\n",
    'packages/core/src/b.ts': "import type { C } from './c.ts'\nexport interface B { c?: C }\n",
    'packages/core/src/c.ts': "export interface C { a?: import('./a.ts').A }\n",
    'test/peers/d.ts': "import './e.ts'\n",
    'test/peers/e.ts': "export const d = import('./d.ts')\n",
  })
  expect(circles).toEqual({
    'no-circles': [
      'test/peers/d.ts -> test/peers/e.ts -> test/peers/d.ts',
      'packages/core/src/a.ts -> packages/core/src/b.ts -> packages/core/src/c.ts -> packages/core/src/a.ts',
    ],
  })
})
