import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (name: string): string => fileURLToPath(new URL(`packages/${name}/src/index.ts`, import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^blockbraid$/, replacement: source('agent') },
      {
        find: /^@blockbraid\/([a-z-]+)$/,
        replacement: fileURLToPath(new URL('packages/$1/src/index.ts', import.meta.url)),
      },
    ],
  },
  test: { include: ['packages/*/test/**/*.test.ts'], testTimeout: 20_000 },
})
