import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { strangerAt } from '../src/files/strangers.ts'
import { begin } from './fixtures/terminal.ts'

const LONG = { timeout: 15_000 }
const isRoot = process.geteuid?.() === 0
/** A user and a group that nobody has. */
const NOBODY = 54_321

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-strangers-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function make(name: string, mode = 0o644): Promise<string> {
  const file = join(folder, name)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, '')
  await chmod(file, mode)
  return file
}

describe('a file that this process runs', () => {
  it('may be in a folder of one’s own in /tmp', async () => {
    expect(await strangerAt(await make('a/b/policy.ts'))).toBeUndefined()
    expect(await strangerAt(join(folder, 'a/../a/./b//policy.ts'))).toBeUndefined()
  })

  it('is a stranger’s where everybody can write it, or a folder above it', async () => {
    const file = await make('a/b/policy.ts', 0o666)
    expect(await strangerAt(file)).toEqual({
      what: `everybody can write ${file} (mode 666)`,
      cure: `chmod o-w ${file}`,
    })
    await chmod(join(folder, 'a'), 0o777)
    expect((await strangerAt(file))?.what).toBe(`everybody can write ${folder}/a (mode 777)`)
  })

  it('is looked at on the way of its links, too', async () => {
    await make('open/real/policy.ts')
    await make('closed/policy.ts')
    await symlink(join(folder, 'open/real'), join(folder, 'closed/link'))
    await symlink('../closed/policy.ts', join(folder, 'open/link.ts'))
    await symlink('circle', join(folder, 'circle'))
    await chmod(join(folder, 'open'), 0o777)
    const what = `everybody can write ${folder}/open (mode 777)`
    expect((await strangerAt(join(folder, 'closed/link/policy.ts')))?.what).toBe(what)
    expect((await strangerAt(join(folder, 'open/link.ts')))?.what).toBe(what)
    expect((await strangerAt(join(folder, 'circle')))?.what).toContain('more than 40 links')
    await expect(strangerAt(join(folder, 'closed/none.ts'))).rejects.toThrow('ENOENT')
  })

  it.skipIf(!isRoot)('is a stranger’s where another user has it, its folder, its link or its group', async () => {
    const file = await make('a/policy.ts', 0o664)
    expect(await strangerAt(file)).toBeUndefined()
    await chown(file, 0, NOBODY)
    expect((await strangerAt(file))?.what).toBe(`group ${NOBODY} can write ${file} (mode 664)`)
    await chmod(file, 0o644)
    expect(await strangerAt(file)).toBeUndefined()
    await chown(join(folder, 'a'), NOBODY, 0)
    expect(await strangerAt(file)).toEqual({
      what: `${folder}/a belongs to user ${NOBODY}`,
      cure: `chown 0 ${folder}/a`,
    })
  })

  it.skipIf(!isRoot)('may be in a sticky folder, but not beside what others put there for Node', async () => {
    const file = await make('shared/mine/policy.ts')
    const shared = join(folder, 'shared')
    await chmod(shared, 0o1777)
    expect(await strangerAt(file)).toBeUndefined()
    await mkdir(join(shared, 'node_modules'))
    expect(await strangerAt(file)).toBeUndefined()
    await chown(join(shared, 'node_modules'), NOBODY, NOBODY)
    expect((await strangerAt(file))?.what).toContain(
      `${shared}/node_modules, where Node looks for packages, belongs to`,
    )
    await symlink('mine/policy.ts', join(shared, 'link.ts'))
    await rm(join(shared, 'node_modules'), { recursive: true })
    expect(await strangerAt(join(shared, 'link.ts'))).toBeUndefined()
  })
})

it('a config that others can write is run, and told', async () => {
  const file = await make('bb.yaml')
  await writeFile(
    file,
    `control: ${folder}/c.sock\ntargets: [{ use: memory, volumes: [{ size: 1MiB }] }]\n` +
      `devices: [{ volume: "*", transport: { use: nbd, socket: ${folder}/n.sock } }]\n`,
  )
  await chmod(file, 0o666)
  const agent = begin(folder, ['up', 'bb.yaml', '--json'])
  await expect.poll(() => agent.output.out, LONG).toContain('}\n')
  agent.interrupt()
  const { code, err } = await agent.ended
  expect(code).toBe(0)
  const words = `: everybody can write ${file} (mode 666), so that others decide what it says; "chmod o-w ${file}"\n`
  expect(err.endsWith(`${file}${words}`)).toBe(true)
})
