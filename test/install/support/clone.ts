import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../../..')

// What npm tells the scripts that it runs would have the npm in the clone believe that it is in this repository.
const KEPT = /^npm_config_(cache|registry|userconfig|globalconfig|cafile|offline)$/i

/** The environment of a user's shell. */
export function shellEnv(): NodeJS.ProcessEnv {
  const given = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|INIT_CWD|NODE_|VITEST)/i.test(name) || KEPT.test(name),
  )
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.startsWith(root))
  return { ...Object.fromEntries(given), PATH: path.join(delimiter), npm_config_prefer_offline: 'true' }
}

/** A clone of the repository as it would be if all changes were committed. */
export interface Clone extends AsyncDisposable {
  readonly folder: string
  /** Runs a command in a folder of it; rejects where its exit code is not 0. */
  run(command: string, args: readonly string[], under?: string): Promise<{ stdout: string; stderr: string }>
}

/** Makes a clone that nothing was installed in. */
export async function makeClone(): Promise<Clone> {
  const folder = await mkdtemp(join(tmpdir(), 'bb-clone-'))
  const list = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    maxBuffer: 2 ** 24,
  })
  for (const file of list.stdout.split('\0')) {
    if (file === '') continue
    await mkdir(join(folder, file, '..'), { recursive: true })
    await cp(join(root, file), join(folder, file), { verbatimSymlinks: true }).catch((error: NodeJS.ErrnoException) => {
      // Removed, and the removal is not committed.
      if (error.code !== 'ENOENT') throw error
    })
  }
  const git = ['-c', 'user.name=test', '-c', 'user.email=test@localhost', '-c', 'commit.gpgsign=false']
  await run('git', ['init', '-q'], { cwd: folder })
  await run('git', ['add', '-A'], { cwd: folder })
  await run('git', [...git, 'commit', '-qm', 'as it is'], { cwd: folder, maxBuffer: 2 ** 24 })
  const env = shellEnv()
  return {
    folder,
    run: (command, args, under = '') => run(command, args, { cwd: join(folder, under), env, maxBuffer: 2 ** 24 }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}
