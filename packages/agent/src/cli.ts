#!/usr/bin/env node
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

// Without await at the top, which Node before 14 cannot read.
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(`blockbraid: needs Node 22.18 or newer; this is ${process.versions.node}`)
  process.exitCode = 1
} else {
  void import('./process.ts').then(({ run }) => run())
}
