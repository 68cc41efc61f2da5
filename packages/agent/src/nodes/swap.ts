import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

/** Where swaps and devices are looked up. */
export interface SwapPlaces {
  /** @defaultValue /proc/swaps */
  swaps?: string
  /** @defaultValue /sys/block */
  blocks?: string
  /** Number, `43:0`, of the device that a swap partition is, or that a swap file is on. */
  numberOf?: (swap: string, isFile: boolean) => Promise<string>
}

/** Swap partitions and files that are on a node, on a partition of it, or on a device above (dm, md). */
export async function swapsOnNode(node: string, places: SwapPlaces = {}): Promise<string[]> {
  const { swaps = '/proc/swaps', blocks = '/sys/block', numberOf = deviceNumber } = places
  const lines = (await readFile(swaps, 'utf8').catch(() => '')).split('\n').slice(1)
  const found: string[] = []
  let numbers: ReadonlySet<string> | undefined
  for (const line of lines) {
    const [path, type] = line.split(/\s+/)
    if (path === undefined || type === undefined) continue
    // Spaces and the like are octal in this file.
    const swap = path.replace(/\\([0-7]{3})/g, (_whole, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    )
    numbers ??= await numbersAbove(basename(node), blocks)
    if (numbers.has(await numberOf(swap, type === 'file').catch(() => ''))) found.push(swap)
  }
  return found
}

async function deviceNumber(swap: string, isFile: boolean): Promise<string> {
  const { dev, rdev } = await stat(swap)
  const number = isFile ? dev : rdev
  // As glibc packs them: 32 bits of each are enough for what Node tells as a number.
  const major = Math.floor(number / 256) & 0xfff
  const minor = (number & 0xff) | ((Math.floor(number / 2 ** 20) & 0xfff) << 8)
  return `${major}:${minor}`
}

/** Numbers of a device, of its partitions, and of all that stands on them. */
async function numbersAbove(kname: string, blocks: string): Promise<ReadonlySet<string>> {
  const numbers = new Set<string>()
  const add = async (folder: string): Promise<void> => {
    const number = (await readFile(join(folder, 'dev'), 'utf8').catch(() => '')).trim()
    if (number === '' || numbers.has(number)) return
    numbers.add(number)
    for (const holder of await readdir(join(folder, 'holders')).catch(() => [])) await add(join(blocks, holder))
    const name = basename(folder)
    for (const entry of await readdir(folder).catch(() => []))
      if (entry.startsWith(name)) await add(join(folder, entry))
  }
  await add(join(blocks, kname))
  return numbers
}
