// Started by process.test.ts with --expose-gc and what to set.
import { readFileSync } from 'node:fs'
import { LinuxError, lockMemory, setIoFlusher } from '../../src/index.ts'

declare const gc: () => void

try {
  if (process.argv[2] === 'lock') {
    lockMemory()
    churn()
    console.log(`locked ${/^VmLck:\s+(\d+ kB)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`)
  } else {
    setIoFlusher(true)
    setIoFlusher(false)
    console.log('done')
  }
} catch (error) {
  if (!LinuxError.is(error)) throw error
  console.log(error.message)
}

/** Makes V8 take memory and give it back. */
function churn(): void {
  for (let round = 0; round < 5; round++) {
    const kept: unknown[] = []
    for (let i = 0; i < 200_000; i++) kept.push({ i, text: `${i}` })
    const functions = Array.from({ length: 500 }, (_, i) => new Function(`return ${i} + ${kept.length}`))
    for (const one of functions) for (let i = 0; i < 20; i++) one()
    kept.length = 0
    gc()
  }
}
