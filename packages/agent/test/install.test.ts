import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const read = (path: string): Promise<string> => readFile(new URL(`../${path}`, import.meta.url), 'utf8')
const hasAnalyzer = await run('systemd-analyze', ['--version']).then(
  () => true,
  () => false,
)

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-unit-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('files of the host', () => {
  it('are in the package', async () => {
    expect(JSON.parse(await read('package.json')).files).toEqual(expect.arrayContaining(['systemd', 'udev']))
  })

  it.skipIf(!hasAnalyzer)('have a unit that systemd understands', async () => {
    const unit = await read('systemd/blockbraid.service')
    const file = join(folder, 'blockbraid.service')
    // The command itself is not installed here.
    await writeFile(file, unit.replace(/^ExecStart=\S+/m, `ExecStart=${process.execPath}`))
    expect(await run('systemd-analyze', ['verify', file])).toEqual({ stdout: '', stderr: '' })
  })

  it('have a unit that leaves guards alone and gives the agent the time that it takes', async () => {
    const unit = await read('systemd/blockbraid.service')
    const value = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1]
    expect(value('KillMode')).toBe('process')
    expect(value('Type')).toBe('notify')
    expect(Number(value('TimeoutStopSec'))).toBeGreaterThan(20)
    expect(value('ExecStart')).not.toContain('take-over')
  })

  it('have a rule of udev for both kinds of node, that jumps only to labels it has', async () => {
    const rules = await read('udev/60-blockbraid.rules')
    expect(rules).toContain('KERNEL!="nbd*|ublkb*"')
    expect(rules).toContain('IMPORT{file}="/run/blockbraid/nodes/%k"')
    const labels = new Set([...rules.matchAll(/LABEL="(\w+)"/g)].map(([, label]) => label))
    for (const [, label] of rules.matchAll(/GOTO="(\w+)"/g)) expect(labels).toContain(label)
    // What lsblk shows as MODEL, SERIAL and WWN.
    for (const name of ['ID_MODEL', 'ID_SERIAL', 'ID_SERIAL_SHORT', 'ID_WWN']) expect(rules).toContain(`ENV{${name}}="`)
  })
})
