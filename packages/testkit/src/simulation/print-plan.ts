import type { Plan } from './plan.ts'

/** A plan as a test that can be pasted: it plays exactly what failed. */
export function printTest({ seed, features, shape, events }: Plan, fault: string): string {
  const lines = events.map((event) => `    ${literal(event)},`)
  return [
    `it('plays seed ${seed}, made short', async () => {`,
    `  // ${fault.replaceAll('\n', ' ')}`,
    '  const plan: Plan = {',
    `    seed: ${seed},`,
    `    features: ${literal(features)},`,
    `    shape: ${literal(shape)},`,
    '    events: [',
    ...lines.map((line) => `  ${line}`),
    '    ],',
    '  }',
    '  expect((await runPlan(plan, parts)).fault).toBeUndefined()',
    '})',
  ].join('\n')
}

function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (typeof value === 'string') return `'${value}'`
  if (typeof value !== 'object' || value === null) return String(value)
  const fields = Object.entries(value).map(
    ([field, of]) => `${/^\w+$/.test(field) ? field : `'${field}'`}: ${literal(of)}`,
  )
  return `{ ${fields.join(', ')} }`
}
