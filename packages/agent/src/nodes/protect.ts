import { readFile, writeFile } from 'node:fs/promises'
import { messageOf } from '@blockbraid/core'
import { lockMemory, setIoFlusher } from '@blockbraid/linux'

/** What {@link protectProcess} asks the kernel for. */
export interface ProcessCalls {
  setIoFlusher(on: boolean): void
  lockMemory(): void
  /** `/proc/self/oom_score_adj` */
  oomScore(): Promise<number>
  setOomScore(score: number): Promise<void>
}

const OOM_SCORE = '/proc/self/oom_score_adj'
/** Never killed for want of memory. */
const EXEMPT = -1000

const linux: ProcessCalls = {
  setIoFlusher,
  lockMemory,
  oomScore: async () => Number(await readFile(OOM_SCORE, 'utf8')),
  setOomScore: (score) => writeFile(OOM_SCORE, String(score)),
}

/**
 * Makes this process fit to serve kernel nodes when memory is short: its allocations do not wait for I/O on its
 * own nodes, its memory stays in RAM, and it is the last to be killed. Each that is refused is reported in one
 * line, with the reason and the risk.
 */
export async function protectProcess(report: (line: string) => void, calls: ProcessCalls = linux): Promise<void> {
  const attempt = async (what: string, risk: string, work: () => unknown): Promise<void> => {
    try {
      await work()
    } catch (error) {
      report(`${what}: ${messageOf(error)}; ${risk}`)
    }
  }
  await attempt(
    'cannot become an I/O flusher (needs CAP_SYS_RESOURCE)',
    'when memory is short this agent may wait for writes to its own nodes, for ever',
    () => calls.setIoFlusher(true),
  )
  await attempt(
    'cannot lock memory (needs CAP_IPC_LOCK, or LimitMEMLOCK=infinity)',
    'when memory is short parts of this agent may have to be read back from a disk that waits for it',
    () => calls.lockMemory(),
  )
  await attempt(
    'cannot be exempt from the OOM killer (needs CAP_SYS_RESOURCE)',
    'when memory is short the kernel may kill this agent, and I/O on its nodes waits for the next',
    () => exempt(calls),
  )
}

async function exempt(calls: ProcessCalls): Promise<void> {
  const score = await calls.oomScore()
  if (score === EXEMPT) return
  try {
    await calls.setOomScore(EXEMPT)
  } catch (error) {
    // Back to 0 is allowed where a privileged process has raised it since.
    const now =
      score > 0
        ? await calls.setOomScore(0).then(
            () => 0,
            () => score,
          )
        : score
    throw new Error(`oom_score_adj stays ${now}, not ${EXEMPT} (${messageOf(error)})`, { cause: error })
  }
}
