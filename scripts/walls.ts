// Looks for imports that go through a wall of the house, and for files in a circle. Exit code 1 when there are any.
import { lookAt } from './walls/look.ts'

const { files, imports, breaches } = await lookAt(process.cwd())
for (const { wall, why, imports } of breaches) console.error([`${wall}: ${why}`, ...imports].join('\n  '))
console.log(`${files} files, ${imports} imports: ${breaches.length === 0 ? 'every wall stands' : 'a wall is broken'}`)
process.exitCode = breaches.length > 0 ? 1 : 0
