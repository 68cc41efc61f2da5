// Eight typical faults, as `blockbraid ls`, `why` and `stats` show them: an agent in a process of its own, simulated arrays
// behind real sockets, load over NBD. `node scripts/faults.ts` prints it all, `node scripts/faults.ts --write` puts it
// into docs/troubleshooting.md; names behind it run only these. What was built is what runs: `npm run build` first.
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { faults } from './faults/faults.ts'
import { onStage } from './faults/stage.ts'

const page = new URL('../docs/troubleshooting.md', import.meta.url)
const BEGIN = '<!-- made by scripts/faults.ts -->\n'
const END = '<!-- end of what scripts/faults.ts makes -->\n'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { write: { type: 'boolean', default: false } },
})
const chosen = faults.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
let text = ''
for (const fault of chosen) {
  const section = await onStage(fault)
  text += `${section}\n`
  console.log(section)
}
if (values.write && chosen.length === faults.length) {
  const old = await readFile(page, 'utf8')
  const [before = '', rest] = old.split(BEGIN)
  const after = rest?.split(END)[1]
  if (after === undefined) throw new Error('docs/troubleshooting.md has lost the two lines between which this goes')
  await writeFile(page, `${before}${BEGIN}\n${text}${END}${after}`)
}
