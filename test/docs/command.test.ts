import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const run = promisify(execFile)
const command = join(import.meta.dirname, '../../packages/agent/bin/blockbraid.js')

describe('the command', () => {
  it('says in one sentence that Node is too old', async () => {
    const script = `Object.defineProperty(process.versions, 'node', { value: '20.20.2' }); import(${JSON.stringify(pathToFileURL(command))})`
    await expect(run(process.execPath, ['--input-type=module', '--eval', script])).rejects.toMatchObject({
      code: 1,
      stderr: 'blockbraid: needs Node 22.18 or newer; this is 20.20.2\n',
    })
  })

  it('has the thread that watches its event loop among the files that were built', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bb-command-'))
    try {
      // Stands still for longer than is not told, and makes no policy.
      const policy = 'export default () => { for (const end = Date.now() + 4000; Date.now() < end; ); }'
      await writeFile(join(folder, 'policy.mjs'), policy)
      await writeFile(
        join(folder, 'blockbraid.yaml'),
        `targets: [{ use: memory, volumes: [{ size: 1MiB }] }]
devices: [{ volume: "*", name: disk, policy: ./policy.mjs, transport: { use: nbd, socket: ./nbd.sock } }]
`,
      )
      await expect(run(process.execPath, [command, 'up', 'blockbraid.yaml'], { cwd: folder })).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/: the event loop has stood still for .*policy\.mjs:1/),
      })
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('says that it is not built where it is not', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bb-command-'))
    try {
      await cp(command, join(folder, 'bin', 'blockbraid.mjs'))
      await expect(run(process.execPath, [join(folder, 'bin', 'blockbraid.mjs')])).rejects.toMatchObject({
        code: 1,
        stderr: 'blockbraid: is not built yet: run npm start, or npm run build, in the repository\n',
      })
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
