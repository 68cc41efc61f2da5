import { createHash } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isServed, makeRecordFolder, ownStart } from './record.ts'

/** Milliseconds. */
const STEP = 5

let drafts = 0

/** Lets go of a claim. */
export type LetGo = () => Promise<void>

/**
 * Claims a text for this process, such as what a node is for while it is made. Resolves to what lets go of it, or
 * to the process that has it; the claim of a process that has ended is void.
 */
export async function claimNode(text: string): Promise<LetGo | number> {
  const folder = await makeRecordFolder()
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 32)
  return claimFile(join(folder, `.claim-${digest}`))
}

/**
 * Makes a file that this process alone has, until it lets go of it or ends. Resolves to what lets go of it, or to
 * the process that has it. Its folder must be there.
 */
export async function claimFile(file: string): Promise<LetGo | number> {
  const draft = `${file}-${process.pid}-${drafts++}`
  await writeFile(draft, `${process.pid} ${ownStart()}`, { mode: 0o644 })
  try {
    // Unlike rename, link never replaces what a quicker process has put there.
    while (!(await linked(draft, file))) {
      const holder = await holderOf(file)
      if (holder === undefined) continue
      const [pid = '', started = ''] = holder.split(' ')
      if (isServed({ pid: Number(pid), started })) return Number(pid)
      await removeVoid(file, holder)
    }
    return () => rm(file, { force: true })
  } finally {
    await rm(draft, { force: true })
  }
}

// By one process at a time: a slower one would remove the claim that a quicker one has made meanwhile.
async function removeVoid(file: string, holder: string): Promise<void> {
  const letGo = await claimFile(`${file}-void`)
  if (typeof letGo === 'number') return sleep(STEP)
  try {
    if ((await holderOf(file)) === holder) await rm(file)
  } finally {
    await letGo()
  }
}

async function linked(draft: string, file: string): Promise<boolean> {
  try {
    await link(draft, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function holderOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
