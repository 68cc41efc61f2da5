// Started by watcher.test.ts with the case's name.
import { readSync, writeSync } from 'node:fs'
import { closeFd, socketPair, type Watcher, watchReadable } from '../../src/index.ts'

const [a, b] = socketPair()
const cases: Record<string, () => void> = {
  caught() {
    let caught = 0
    const watcher = watchReadable(b, () => {
      throw new Error('from the callback')
    })
    process.on('uncaughtException', () => {
      caught++
      process.stdout.write(`caught ${caught}, `)
      if (caught < 2) return
      watcher.close()
      closeFd(b)
      console.log('closed')
    })
    writeSync(a, 'x')
  },
  thrown() {
    watchReadable(b, () => {
      throw new Error('from the callback')
    })
    writeSync(a, 'x')
  },
  unref() {
    const watcher: Watcher = watchReadable(b, () => console.log('readable'))
    watcher.unref()
    process.on('exit', () => console.log('end'))
  },
  ref() {
    const watcher = watchReadable(b, () => {
      console.log('readable')
      readSync(b, Buffer.alloc(1))
      watcher.unref()
    })
    watcher.unref()
    watcher.ref()
    process.on('exit', () => console.log('end'))
    setTimeout(() => writeSync(a, 'x'), 20).unref()
  },
}
cases[process.argv[2]!]!()
