import { expect, it } from 'vitest'
import type { ProgramSet } from '../debian/programs.ts'
import { preparePrograms, programsFolder } from '../debian/programs.ts'
import { succeed } from './support/tools.ts'

const set = process.env['BLOCKBRAID_PROGRAMS'] as ProgramSet

it('the programs that these tests run are those that were fetched', async () => {
  const { suite, versions } = await preparePrograms(set)
  console.log(`Debian ${suite}: ${Object.entries(versions).join(' ').replaceAll(',', ' ')}`)
  const found = await succeed('sh', ['-c', 'command -v qemu-io qemu-img nbdinfo nbdcopy nbdkit nbdfuse'])
  for (const path of found.trim().split('\n')) expect(path).toContain(`${programsFolder(set)}/bin/`)
  // The first that leaves the payload flag off is 8.2.
  const [, major] = /version (\d+)/.exec(await succeed('qemu-io', ['--version'])) ?? []
  expect(Number(major)).toBeGreaterThanOrEqual(10)
  expect(versions['qemu-utils']).toContain(`:${major}.`)
  expect(versions['libnbd-bin']).toContain(/\d\S+/.exec(await succeed('nbdinfo', ['--version']))![0])
})

it('nbdkit takes its plugins and filters from where it was fetched', async () => {
  const plugin = await succeed('nbdkit', ['--dump-plugin', 'memory'])
  expect(plugin).toContain(`${programsFolder(set)}/root/`)
  const { versions } = await preparePrograms(set)
  expect(versions['nbdkit']).toContain(/^version=(.*)$/m.exec(plugin)?.[1] ?? 'no version')
})
