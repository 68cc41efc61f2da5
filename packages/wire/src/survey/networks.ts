import { BlockList, isIP } from 'node:net'
import { wrongOption } from '../option-checks.ts'

/** Reads the option `toldPortals`: all, none, or those inside of networks; throws a TypeError that names what is wrong. */
export function networksOf(value: unknown): boolean | BlockList {
  const right = 'true, false, or a list of networks such as ["192.0.2.0/24"]'
  if (typeof value === 'boolean') return value
  if (!Array.isArray(value) || value.length === 0) throw wrongOption('toldPortals', value, right)
  const networks = new BlockList()
  for (const [index, item] of value.entries()) {
    const [address = '', length, ...rest] = typeof item === 'string' ? item.split('/') : []
    const family = isIP(address)
    const longest = family === 6 ? 128 : 32
    const bits = length === undefined ? longest : /^\d{1,3}$/.test(length) ? Number(length) : -1
    if (family === 0 || rest.length > 0 || bits < 0 || bits > longest) {
      throw wrongOption(`toldPortals[${index}]`, item, 'an address, or a network such as 192.0.2.0/24')
    }
    networks.addSubnet(address, bits, family === 6 ? 'ipv6' : 'ipv4')
  }
  return networks
}
