import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const packages = fileURLToPath(new URL('packages', import.meta.url))

// Unit tests run the sources; docs and peers run what was built, as users do.
const sources = [
  { find: /^blockbraid$/, replacement: `${packages}/agent/src/index.ts` },
  { find: /^@blockbraid\/([a-z-]+)$/, replacement: `${packages}/$1/src/index.ts` },
]

// Agents of tests keep the names of their volumes there, not in /var/lib/blockbraid.
const env = { BLOCKBRAID_STATE: join(tmpdir(), `blockbraid-tests-${process.pid}`) }

export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias: sources },
        test: { name: 'unit', include: ['packages/*/test/**/*.test.ts'], testTimeout: 30_000, env },
      },
      { test: { name: 'docs', include: ['test/docs/**/*.test.ts'], testTimeout: 60_000, env } },
      {
        test: {
          name: 'peers',
          include: ['test/peers/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          env,
        },
      },
    ],
  },
})
