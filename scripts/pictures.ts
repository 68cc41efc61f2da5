// `npm run pictures`: a picture of what each policy does with four paths in four scenes, in virtual time over the simulated
// array, into packages/policy-*/pictures, and the latencies into their READMEs. Needs a build.
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { policies } from '../bench/policies.ts'
import { pictureOf } from './pictures/pictures.ts'

for (const policy of Object.keys(policies)) {
  const { file, svg, readmeFile, readme, latencies } = await pictureOf(policy)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, svg)
  await writeFile(readmeFile, readme)
  console.log(policy)
  for (const { scene, p50, p99 } of latencies)
    console.log(`  ${scene}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`)
}
