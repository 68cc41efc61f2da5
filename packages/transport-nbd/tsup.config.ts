import { defineConfig } from 'tsup'
import shared from '../../tsup.config.ts'

// The guard is the main module of a process of its own; nobody imports it.
export default defineConfig({
  ...shared,
  entry: { index: 'src/index.ts', guard: 'src/kernel/guard.ts' },
  dts: { entry: { index: 'src/index.ts' } },
})
