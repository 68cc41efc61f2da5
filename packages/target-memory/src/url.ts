import type { MemoryArrayOptions } from './options.ts'
import { integer, wrong } from './options.ts'

const PARAMETERS = ['volumes', 'size', 'blockSize', 'ports', 'controllers', 'queueDepth', 'latency', 'maxTransfer']

/**
 * Options of an address such as `memory:array1?volumes=2&size=64MiB&ports=4&latency=200`; every part
 * may be left out. `size` and `blockSize` are of each volume, `latency` is µs. Throws a TypeError that
 * names a wrong parameter.
 */
export function fromUrl(url: URL): MemoryArrayOptions {
  if (url.protocol !== 'memory:') throw wrong('address', url.href, 'memory:, with a name and parameters if wanted')
  const given = url.searchParams
  for (const key of given.keys()) {
    if (!PARAMETERS.includes(key))
      throw new TypeError(`${key} in ${url.href} is unknown; known are ${PARAMETERS.join(', ')}`)
    if (given.getAll(key).length > 1) throw new TypeError(`${key} stands twice in ${url.href}`)
  }
  const number = (key: string): number | undefined => {
    const text = given.get(key)
    if (text === null) return undefined
    if (/^\d{1,15}$/.test(text)) return Number(text)
    throw wrong(key, text, 'a whole number')
  }
  const options: MemoryArrayOptions = {}
  const name = url.pathname.replace(/^\/+/, '') || url.hostname
  if (name !== '') options.name = name
  const blockSize = number('blockSize')
  const volume = { size: given.get('size') ?? '64MiB', ...(blockSize === undefined ? {} : { blockSize }) }
  options.volumes = new Array(integer('volumes', number('volumes') ?? 1, 1, 4096)).fill(volume)
  for (const key of ['ports', 'controllers', 'queueDepth'] as const) {
    const value = number(key)
    if (value !== undefined) options[key] = value
  }
  const latency = number('latency')
  if (latency !== undefined) options.latency = { base: latency }
  const maxTransfer = given.get('maxTransfer')
  if (maxTransfer !== null) options.maxTransfer = maxTransfer
  return options
}
