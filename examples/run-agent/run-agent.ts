// The agent of a config inside your own program, asked over its control socket as another process would ask it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { callControl, parseConfig, runAgent } from 'blockbraid'

const folder = await mkdtemp(join(tmpdir(), 'run-agent-'))
const control = join(folder, 'control.sock')
const config = parseConfig(
  `control: ${control}
state: ${join(folder, 'state')}
targets:
  - { use: memory, volumes: [{ size: 64MiB }], ports: 2 }
devices:
  - { volume: "*", name: "disk-{n}", policy: queue-depth, transport: { use: nbd, socket: ${join(folder, 'nbd.sock')} } }
`,
  join(folder, 'blockbraid.yaml'),
)

const running = await runAgent(config, { report: (line, severity) => console.log(`${severity ?? 'note'}: ${line}`) })
try {
  for (const { id, kernel } of running.agent.pairs) console.log(`${id} is ${kernel.node}`)

  // Each request has its arguments and each answer its type.
  const { path } = await callControl(control, { op: 'path-fail', pair: 'disk-0', path: 'port0' })
  const { pairs } = await callControl(control, { op: 'ls' })
  for (const { name, state, paths } of pairs) {
    console.log(`${name} is ${state}: ${paths.map(({ id, state: now }) => `${id} ${now}`).join(', ')}`)
  }
  await callControl(control, { op: 'path-restore', pair: 'disk-0', path })
  const { stalled } = await callControl(control, { op: 'down', pair: 'disk-0' }, { timeout: 10_000 })
  console.log(`disk-0 is down${stalled ? ', and lost what waited' : ''}`)
} finally {
  await running.close()
  await rm(folder, { recursive: true })
}
