import { writeFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { openFolder } from './support/bed.ts'
import { startBlockbraid } from './support/cli.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'

itWithTgt('two agents of one host that were given no name take each other’s sessions, which is said', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using folder = await openFolder()
  const agents: ReturnType<typeof startBlockbraid>[] = []
  for (const name of ['a', 'b']) {
    await writeFile(
      folder.at(`${name}.yaml`),
      `control: ${folder.at(`${name}.sock`)}
state: ${folder.at(name)}
targets: [{ use: iscsi, portals: ["${tgt.portals[0]}"], target: ${target.name} }]
devices: [{ volume: "*", name: ${name}, transport: { use: nbd, socket: ${folder.at(`${name}.nbd`)} } }]
`,
    )
    agents.push(startBlockbraid(folder.path, 'up', folder.at(`${name}.yaml`)))
    if (name === 'a') await agents[0]!.printed((stdout) => stdout.includes('1 pair is up'))
  }
  const words = /another initiator named iqn\.2026-11\.io\.blockbraid:\S+ logs in: give each agent an initiator name/
  // It has lost its session to the first one before it could use it, and ends, or they go on like that.
  const limit = setTimeout(() => agents[1]!.kill('SIGTERM'), 15_000)
  const second = await agents[1]!.ended
  clearTimeout(limit)
  agents[0]!.kill('SIGTERM')
  const first = await agents[0]!.ended
  expect(`${first.stderr}${second.stderr}`).toMatch(words)
})
