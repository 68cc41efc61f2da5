import type { TestContext } from 'node:test'

/** How a diagnostic of a test starts that tells what the target cannot do. */
export const UNSUPPORTED = 'not supported: '

/** Notes in the report what the target cannot do, and how it was seen. */
export function unsupported(t: TestContext, what: string, seen: string): void {
  t.diagnostic(`${UNSUPPORTED}${what}: ${seen}`)
}
