import { defineConfig } from 'tsup'

export default defineConfig({
  // All beside each other, as watchdog.ts looks for the file of its thread.
  entry: { index: 'src/index.ts', cli: 'src/cli.ts', 'watchdog-thread': 'src/watchdog/watchdog-thread.ts' },
  format: 'esm',
  target: 'node22',
  dts: { entry: 'src/index.ts' },
  clean: true,
  sourcemap: true,
  treeshake: true,
})
