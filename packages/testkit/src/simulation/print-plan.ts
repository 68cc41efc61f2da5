import type { SwarmParts } from './parts.ts'
import type { Plan } from './plan.ts'

/** Options of {@link printTest}. */
export interface PrintOptions {
  /** What it was played on: the plan then names its policies, so that it is the same wherever it is pasted. */
  readonly parts?: Pick<SwarmParts, 'policies'>
  /** Source that imports what `parts` are made of, and makes them as `const parts`. @defaultValue a remark that says so */
  readonly setup?: string
  /** What else it needs to fail, for people. */
  readonly needs?: string
}

const IMPORTS = [
  "import type { Plan } from '@blockbraid/testkit/simulation'",
  "import { runPlan } from '@blockbraid/testkit/simulation'",
  "import { expect, it } from 'vitest'",
]

/** A plan as a file of a test that can be pasted: it plays exactly what failed. */
export function printTest(plan: Plan, fault: string, { parts, setup, needs }: PrintOptions = {}): string {
  const { seed, features, shape, events } = plan
  const policies = parts?.policies.map(({ name }) => name) ?? plan.policies
  return [
    ...IMPORTS,
    ...(setup?.trim().split('\n') ?? ['', '// With the parts that it was played on, as `const parts: SwarmParts`.']),
    '',
    ...(needs === undefined ? [] : remark(needs)),
    `it('plays seed ${seed}, made short', async () => {`,
    ...remark(fault.replaceAll('\n', ' ')).map((line) => `  ${line}`),
    '  const plan: Plan = {',
    `    seed: ${seed},`,
    `    features: ${literal(features)},`,
    ...(policies === undefined ? [] : [`    policies: ${literal(policies)},`]),
    `    shape: ${literal(shape)},`,
    '    events: [',
    ...events.map((event) => `      ${literal(event)},`),
    '    ],',
    '  }',
    '  expect((await runPlan(plan, parts)).fault).toBeUndefined()',
    '})',
  ].join('\n')
}

const remark = (text: string): string[] => text.split('\n').map((line) => `// ${line}`.trimEnd())

function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (typeof value === 'string') return `'${value.replaceAll(/['\\]/g, '\\$&')}'`
  if (typeof value !== 'object' || value === null) return String(value)
  const fields = Object.entries(value).map(
    ([field, of]) => `${/^\w+$/.test(field) ? field : literal(field)}: ${literal(of)}`,
  )
  return `{ ${fields.join(', ')} }`
}
