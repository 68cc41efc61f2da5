import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** The folder of another checkout that is built, for `--beside`; ends the process where it is none. */
export function checkoutOf(text: string): string {
  const folder = resolve(text)
  if (existsSync(join(folder, 'packages/core/dist/index.js'))) return folder
  const how = existsSync(join(folder, 'packages/core')) ? `${text} is not built: npm run build there` : howToMake(text)
  process.stderr.write(`bench: --beside takes a checkout that is built. ${how}\n`)
  process.exit(2)
}

function howToMake(text: string): string {
  let commit: string
  try {
    const verify = ['rev-parse', '--verify', '--quiet', '--short', `${text}^{commit}`]
    commit = execFileSync('git', verify, { encoding: 'utf8' }).trim()
  } catch {
    return `${text} is neither a folder with packages nor a commit`
  }
  const folder = `../blockbraid-${commit}`
  return `To make one of ${text}:
  git worktree add ${folder} ${commit} && (cd ${folder} && npm run build)
  npm run bench -- --beside ${folder}`
}

/** The command that runs scripts of this folder, with the packages of `checkout` where that is given. */
export function nodeWith(checkout: string | undefined): readonly string[] {
  if (checkout === undefined) return [process.execPath]
  return ['env', `BLOCKBRAID_CHECKOUT=${checkout}`, process.execPath, '--import', './bench/packages-of.ts']
}
