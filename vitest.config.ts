import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import type { ProgramSet } from './test/debian/programs.ts'
import { programsPath } from './test/debian/programs.ts'

const packages = fileURLToPath(new URL('packages', import.meta.url))

// Unit tests run the sources; docs and peers run what was built, as users do.
const sources = [
  { find: /^blockbraid$/, replacement: `${packages}/agent/src/index.ts` },
  { find: /^@blockbraid\/testkit\/simulation$/, replacement: `${packages}/testkit/src/simulation/index.ts` },
  { find: /^@blockbraid\/([a-z-]+)$/, replacement: `${packages}/$1/src/index.ts` },
]

// Agents of tests keep the names of their volumes there, not in /var/lib/blockbraid.
const env = { BLOCKBRAID_STATE: join(tmpdir(), `blockbraid-tests-${process.pid}`) }

const peers = { testTimeout: 120_000, hookTimeout: 60_000, fileParallelism: false, env }

// What clients of others do to our exports, once more with clients of another age.
const clients = ['programs', 'qemu-img', 'qemu-io', 'qemu-session', 'forged-payload', 'nbdinfo', 'nbdcopy', 'tls']
const underTrouble = ['reconnect', 'filesystem', 'write-order', 'late-writes', 'mission-io']

function peersWith(set: ProgramSet) {
  return {
    test: {
      ...peers,
      name: `peers-${set}`,
      include: [...clients, ...underTrouble].map((name) => `test/peers/${name}.test.ts`),
      env: { ...env, BLOCKBRAID_PROGRAMS: set, PATH: programsPath(set) },
      globalSetup: [`test/peers/support/fetch-${set}.ts`],
    },
  }
}

export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias: sources },
        test: { name: 'unit', include: ['packages/*/test/**/*.test.ts'], testTimeout: 30_000, env },
      },
      { test: { name: 'walls', include: ['test/walls/**/*.test.ts'], testTimeout: 30_000 } },
      // An installation and a build from nothing.
      { test: { name: 'install', include: ['test/install/**/*.test.ts'], testTimeout: 600_000, hookTimeout: 60_000 } },
      { test: { name: 'docs', include: ['test/docs/**/*.test.ts'], testTimeout: 60_000, env } },
      {
        test: {
          ...peers,
          name: 'peers',
          include: ['test/peers/**/*.test.ts'],
          exclude: ['test/peers/programs.test.ts'],
        },
      },
      peersWith('trixie'),
      peersWith('newest'),
    ],
  },
})
