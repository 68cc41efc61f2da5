import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cruise, type ICruiseResult, type IViolation } from 'dependency-cruiser'
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config'
import { wallsOf } from './walls.ts'

/** A wall that imports go through. */
export interface Breach {
  readonly wall: string
  /** Why the wall is there. */
  readonly why: string
  /** Each import that goes through it, or each circle, in words. */
  readonly imports: readonly string[]
}

/** What was seen. */
export interface Look {
  readonly files: number
  readonly imports: number
  readonly breaches: readonly Breach[]
}

const FOLDERS = ['packages', 'bench', 'test', 'examples', 'scripts']

/** Looks at every import of the sources, tests, benches, scripts and examples below `root`, those of types too. */
export async function lookAt(root: string): Promise<Look> {
  const walls = wallsOf(root)
  const tsConfig = join(root, 'tsconfig.json')
  const { output } = await cruise(
    FOLDERS.filter((folder) => existsSync(join(root, folder))),
    {
      baseDir: root,
      validate: true,
      ruleSet: { forbidden: walls },
      tsPreCompilationDeps: true,
      // Published names lead to the sources, so that nothing has to be built.
      tsConfig: { fileName: tsConfig },
      exclude: { path: '^packages/[^/]+/dist/' },
      doNotFollow: { path: 'node_modules/' },
    },
    { conditionNames: ['types', 'import', 'node', 'default'], exportsFields: ['exports'] },
    { tsConfig: extractTSConfig(tsConfig) },
  )
  const { summary } = output as ICruiseResult
  const why = new Map(walls.map(({ name, comment }) => [name, comment]))
  const breaches = [...why].flatMap(([wall, comment]) => {
    const found = withoutRepeats(summary.violations.filter(({ rule }) => rule.name === wall))
    return found.length === 0 ? [] : [{ wall, why: comment, imports: found.map(describe) }]
  })
  return { files: summary.totalCruised, imports: summary.totalDependenciesCruised ?? 0, breaches }
}

// A circle is found from each of its files, and again in each larger one.
function withoutRepeats(violations: readonly IViolation[]): IViolation[] {
  const seen: string[][] = []
  return violations
    .toSorted((a, b) => filesOf(a).length - filesOf(b).length)
    .filter((violation) => {
      const files = filesOf(violation)
      if (seen.some((smaller) => smaller.every((file) => files.includes(file)))) return false
      seen.push(files)
      return true
    })
}

function filesOf({ from, to, cycle }: IViolation): string[] {
  return cycle === undefined ? [from, to] : cycle.map(({ name }) => name)
}

function describe({ from, to, unresolvedTo = to, cycle }: IViolation): string {
  if (cycle !== undefined) return [from, ...cycle.map(({ name }) => name)].join(' -> ')
  return `${from} imports ${unresolvedTo}${unresolvedTo === to ? '' : `, ${to}`}`
}
