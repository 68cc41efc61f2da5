#!/usr/bin/env node
// Stands in the repository: npm links no command whose file is missing when it installs, and npx would then ask the
// registry for one. Old Node must be able to read it, so that what is told is its age.
import { existsSync } from 'node:fs'

const command = new URL('../dist/cli.js', import.meta.url)
if (existsSync(command)) {
  import(command)
} else {
  console.error('blockbraid: is not built yet: run npm start, or npm run build, in the repository')
  process.exitCode = 1
}
