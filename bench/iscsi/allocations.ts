import type { HeapProfiler } from 'node:inspector'
import { Session } from 'node:inspector/promises'

type Node = HeapProfiler.SamplingHeapProfileNode

/** Bytes that one function of somebody's code has allocated. */
export interface Allocation {
  /** A package of ours, `bench`, or `node` with all that it does by itself, node:net and streams included. */
  readonly owner: string
  readonly function: string
  bytes: number
}

/**
 * What JavaScript allocates while `work` runs, most first: by the innermost frame that is neither a Buffer's nor
 * a typed array's own. What lives on and what a collection has taken both count.
 */
export async function allocations(work: () => Promise<void>): Promise<Allocation[]> {
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.enable')
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: 4096,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  })
  await work()
  const { profile } = await session.post('HeapProfiler.stopSampling')
  session.disconnect()
  const sums = new Map<string, Allocation>()
  const visit = (node: Node, above: string, caller: string): void => {
    const own = ownerOf(node.callFrame.url)
    const owner = own ?? above
    const name = own === undefined ? caller : node.callFrame.functionName
    if (node.selfSize > 0) {
      const key = `${owner} ${name}`
      const sum = sums.get(key) ?? { owner, function: name, bytes: 0 }
      sum.bytes += node.selfSize
      sums.set(key, sum)
    }
    for (const child of node.children) visit(child, owner, name)
  }
  visit(profile.head, 'node', '')
  return [...sums.values()].sort((a, b) => b.bytes - a.bytes)
}

/** Undefined: whoever called it. */
function ownerOf(url: string): string | undefined {
  if (url.includes('/bench/')) return 'bench'
  const own = /packages\/([a-z-]+)\//.exec(url)
  if (own !== null) return own[1]
  if (url === '' || url.startsWith('node:buffer') || url.startsWith('node:internal/buffer')) return undefined
  return 'node'
}
