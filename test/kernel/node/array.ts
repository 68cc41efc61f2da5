import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { within } from '../guest/wait.ts'
import type { ArrayNews, ArrayOptions, ArrayRequest } from './array-process.ts'

/** A simulated iSCSI array in another process, which keeps its volumes whatever happens to agents. */
export interface ArrayProcess extends ArrayNews, AsyncDisposable {
  /** A copy of what stands in a volume. */
  peek(volume: number, offset: number, length: number): Promise<Buffer>
  /** Takes a volume away from every port. */
  unmap(volume: number): Promise<void>
  portDown(port: number): Promise<void>
  portUp(port: number): Promise<void>
  /** Switches the write cache of a volume on. */
  cacheOn(volume: number): Promise<void>
  /** Whether a power loss would take nothing from a volume; the array needs its log for that. */
  durable(volume: number): Promise<boolean>
  /** Of a slow array: the next write through the portal that is preferred takes as long as {@link letGo} says. */
  hold(): Promise<void>
  /** Whether that write has begun. */
  begun(): Promise<boolean>
  /** Has it executed; resolves when it is. */
  letGo(): Promise<void>
  /** A portal neither takes nor sends anything. */
  silence(portal: number): Promise<void>
  /** It does so again, and takes what has come meanwhile. */
  wake(portal: number): Promise<void>
}

/** Starts one, with volumes of these sizes on four ports. */
export function startArray(...sizes: readonly string[]): Promise<ArrayProcess> {
  return startArrayOf({ volumes: sizes.map((size) => ({ size })) })
}

/** Starts one of these options, with four ports unless it is slow. */
export async function startArrayOf(options: ArrayOptions): Promise<ArrayProcess> {
  const child = fork(new URL('array-process.ts', import.meta.url), [JSON.stringify(options)])
  const [news] = (await within('the array is up', once(child, 'message'))) as [ArrayNews]
  const call = caller(child)
  return {
    ...news,
    peek: async (...args) => Buffer.from((await call('peek', args)) as string, 'base64'),
    unmap: async (volume) => void (await call('unmap', [volume])),
    portDown: async (port) => void (await call('portDown', [port])),
    portUp: async (port) => void (await call('portUp', [port])),
    cacheOn: async (volume) => void (await call('cacheOn', [volume])),
    durable: async (volume) => (await call('durable', [volume])) as boolean,
    hold: async () => void (await call('hold', [])),
    begun: async () => (await call('begun', [])) as boolean,
    letGo: async () => void (await call('letGo', [])),
    silence: async (portal) => void (await call('silence', [portal])),
    wake: async (portal) => void (await call('wake', [portal])),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}

function caller(child: ChildProcess): (op: ArrayRequest['op'], args: readonly number[]) => Promise<unknown> {
  const waiting = new Map<number, (result: unknown) => void>()
  let last = 0
  child.on('message', ({ id, result }: { id: number; result: unknown }) => {
    waiting.get(id)?.(result)
    waiting.delete(id)
  })
  return (op, args) => {
    const id = ++last
    child.send({ id, op, args } satisfies ArrayRequest)
    return within(`the array's answer to ${op}`, new Promise((resolve) => waiting.set(id, resolve)))
  }
}
