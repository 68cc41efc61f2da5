import { systemHost } from '@blockbraid/core'
import { expect, it } from 'vitest'
import type { PluginKind } from '../src/plugins/modules.ts'
import { loadModule } from '../src/plugins/modules.ts'
import { loadPolicy } from '../src/plugins/plugins.ts'

it.each([
  ['policy', 'x', 'install @blockbraid/policy-x'],
  ['policy', 'blockbraid-policy-x', 'install blockbraid-policy-x'],
  ['policy', 'quue-depth', 'did you mean queue-depth?'],
  ['policy', 'service-tim', 'did you mean service-time?'],
  ['policy', 'two.ts', 'a file is written ./two.ts'],
  ['policy', '@acme/two', 'install @acme/two'],
  ['target', 'iscis', 'did you mean iscsi?'],
  ['target', 'blockbraid-target-x', 'install blockbraid-target-x'],
  ['transport', 'ubkl', 'did you mean ublk?'],
  ['transport', 'mine.mjs', 'a file is written ./mine.mjs'],
] as const)('the %s %s is not there: %s', async (kind: PluginKind, use, advice) => {
  const load = loadModule(kind, { use, options: {} }, import.meta.dirname)
  await expect(load).rejects.toThrow(new RegExp(`^there is no ${kind} "${use}": ${advice.replace('?', '\\?')}$`))
})

it('a policy that is there is found all the same', async () => {
  expect((await loadPolicy({ use: 'queue-depth', options: {} }, import.meta.dirname, systemHost))().name).toBe(
    'queue-depth',
  )
})
