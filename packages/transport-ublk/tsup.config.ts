import { defineConfig } from 'tsup'
import shared from '../../tsup.config.ts'

// The guard is a program of its own, which outlives the process that starts it.
export default defineConfig({ ...shared, entry: ['src/index.ts', 'src/guard.ts'] })
