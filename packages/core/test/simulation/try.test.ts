import { simulate } from '@blockbraid/testkit'
import { it } from 'vitest'
import { kinds } from './kinds.ts'
import { schedule } from './schedule.ts'

const list = (process.env['KINDS']?.split(',') ?? Object.keys(kinds)).filter((k) => k !== '') as never[]
const from = Number(process.env['FROM'] ?? 1)
const n = Number(process.env['N'] ?? 100)
it('try', async () => {
  const t = performance.now()
  let found = 0
  for (let seed = from; seed < from + n; seed++) {
    try {
      await simulate([seed], (host) => schedule(host, new Set(list)), { limit: 60000 })
    } catch (error) {
      console.log(String((error as Error).message), process.env['STACK'] ? (error as Error).cause : '')
      if (++found >= 8) break
    }
  }
  console.log(`${n} in ${performance.now() - t} ms`)
}, 6_000_000)
