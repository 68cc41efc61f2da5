import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { policies } from '../../bench/policies.ts'
import { draw } from './draw.ts'
import { measure } from './measure.ts'
import { scenes } from './scenes.ts'

const packages = join(import.meta.dirname, '../../packages')

/** A policy's picture: where it is, what it shows, and its latencies in milliseconds, in the order of the scenes. */
export interface Picture {
  readonly file: string
  readonly svg: string
  /** The policy's README, with the numbers of now. */
  readonly readme: string
  readonly readmeFile: string
  readonly latencies: readonly { readonly scene: string; readonly p50: number; readonly p99: number }[]
}

/** Runs a policy through all scenes. */
export async function pictureOf(policy: string): Promise<Picture> {
  const create = policies[policy]
  if (create === undefined) throw new Error(`there is no policy ${policy}`)
  const shown = []
  for (const scene of scenes) shown.push({ scene, measured: await measure(scene, create) })
  const latencies = shown.map(({ scene, measured: { p50, p99 } }) => ({ scene: scene.title, p50, p99 }))
  const folder = join(packages, `policy-${policy}`)
  const readmeFile = join(folder, 'README.md')
  const readme = (['p50', 'p99'] as const).reduce(
    (text, name) =>
      text.replace(
        new RegExp(`^\\| ${name} \\|.*$`, 'm'),
        row(
          name,
          latencies.map((of) => of[name]),
        ),
      ),
    await readFile(readmeFile, 'utf8'),
  )
  return { file: join(folder, 'pictures/scenes.svg'), svg: draw(policy, shown), readmeFile, readme, latencies }
}

const row = (name: string, times: readonly number[]): string =>
  `| ${name} | ${times.map((time) => `${time.toFixed(1)} ms`).join(' | ')} |`
