import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Clone } from './support/clone.ts'
import { makeClone, shellEnv } from './support/clone.ts'

// One clone, step by step as a new user would.
let clone: Clone
beforeAll(async () => {
  clone = await makeClone()
})
afterAll(() => clone[Symbol.asyncDispose]())

/** Runs what does not end by itself; once it says `ready` it is asked to end, and its whole output is the result. */
async function untilReady(command: string, args: readonly string[], under: string, ready: string): Promise<string> {
  // A group of its own: npm does not pass signals on, a terminal signals all.
  const child = spawn(command, args, { cwd: join(clone.folder, under), env: shellEnv(), detached: true })
  const lines: string[] = []
  const take = (line: string): void => {
    lines.push(line)
    if (line.includes(ready) && child.exitCode === null) process.kill(-child.pid!)
  }
  createInterface(child.stdout).on('line', take)
  createInterface(child.stderr).on('line', take)
  await once(child, 'close')
  return lines.join('\n')
}

interface Locked {
  readonly dependencies?: Record<string, string>
  readonly optionalDependencies?: Record<string, string>
}

/** Where a package of the lock file finds one that it needs. */
function findLocked(packages: Readonly<Record<string, Locked>>, from: string, name: string): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(folder.lastIndexOf('/'), 0))) {
    const place = `${folder}${folder === '' ? '' : '/'}node_modules/${name}`
    if (place in packages) return place
    if (folder === '') return undefined
  }
}

describe('a fresh clone', () => {
  it('has a lock file with what every platform needs', async () => {
    const { packages } = JSON.parse(await readFile(join(clone.folder, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, Locked>
    }
    const missing = Object.entries(packages).flatMap(([from, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => findLocked(packages, from, name) === undefined)
        .map((name) => `${from} needs ${name}`),
    )
    expect(missing).toEqual([])
    await clone.run('npm', ['ci', '--dry-run', '--os=darwin', '--cpu=arm64'])
  })

  it('installs with npm ci, and its command then says that it is not built', async () => {
    await clone.run('npm', ['ci'])
    await expect(clone.run('npx', ['--no', '--', 'blockbraid', '--help'])).rejects.toMatchObject({
      stderr: expect.stringContaining('blockbraid: is not built yet: run npm start'),
    })
  })

  it('shows the main job with npm start, and stays clean', async () => {
    const { stdout } = await clone.run('npm', ['start'])
    expect(stdout).toContain('Every byte is right')
    expect((await clone.run('git', ['status', '--porcelain'])).stdout).toBe('')
  })

  it('has the command for a config and a policy of the user', async () => {
    expect((await clone.run('npx', ['--no', '--', 'blockbraid', '--help'])).stdout).toContain('blockbraid')
    // Beside the clone there is no node_modules.
    const folder = join(clone.folder, '.git', 'user')
    await clone.run('mkdir', [folder])
    await writeFile(
      join(folder, 'first.ts'),
      `import type { PathSelector, PathView } from '@blockbraid/core'
import { Errno } from '@blockbraid/core'
export default function first(): PathSelector {
  let paths: readonly PathView[] = []
  return { name: \`first-\${Errno.EIO}\`, update: (usable) => void (paths = usable), select: () => paths[0] }
}
`,
    )
    await writeFile(
      join(folder, 'blockbraid.yaml'),
      `control: .git/user/control.sock
state: .git/user/state
targets: [{ use: memory, volumes: [{ size: 1MiB }] }]
devices: [{ volume: "*", name: disk, policy: ./first.ts, transport: { use: nbd, socket: .git/user/nbd.sock } }]
`,
    )
    const said = await untilReady(
      'npx',
      ['--no', '--', 'blockbraid', 'up', join(folder, 'blockbraid.yaml')],
      '',
      'is up',
    )
    expect(said).toMatch(/^disk {2}nbd\+unix:\/\/\/disk\?socket=/m)
  })

  it.each([
    ['embed', 'read back over the other paths: hello'],
    ['own-policy', '1 pair is up'],
  ])('starts the example %s', async (name, last) => {
    expect(await untilReady('npm', ['start'], `examples/${name}`, last)).toContain(last)
    expect((await clone.run('git', ['status', '--porcelain'])).stdout).toBe('')
  })
})
