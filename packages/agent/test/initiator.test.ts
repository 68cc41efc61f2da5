import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keptHostId } from '../src/state/initiator.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-initiator-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('what tells a host without a machine id from others', () => {
  it('is made once, also where several agents start at once, and is this user’s', async () => {
    const state = join(folder, 'deep/state')
    const all = await Promise.all(Array.from({ length: 8 }, () => keptHostId(state)))
    expect(all[0]).toMatch(/^[0-9a-f]{16}$/)
    expect(new Set([...all, await keptHostId(state)]).size).toBe(1)
    expect(await readdir(state)).toEqual(['initiator'])
    expect(await readFile(join(state, 'initiator'), 'utf8')).toBe(`${all[0]}\n`)
    expect(await keptHostId(join(folder, 'other'))).not.toBe(all[0])
  })

  it('is not known where it cannot be kept', async () => {
    await writeFile(join(folder, 'file'), '')
    expect(await keptHostId(join(folder, 'file'))).toBeUndefined()
    await writeFile(join(folder, 'initiator'), 'not mine\n')
    expect(await keptHostId(folder)).toBeUndefined()
    expect(await readFile(join(folder, 'initiator'), 'utf8')).toBe('not mine\n')
  })
})
