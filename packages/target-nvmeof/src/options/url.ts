import { NVME_PORT, parsePortal } from '../place/portal.ts'
import type { NvmeofOptions } from './options.ts'

const FORM = 'an NVMe/TCP address looks like nvme-tcp://host[:port]/[subsystem[/namespace]]'

/**
 * Options of `nvme-tcp://host[:port]/[nqn[/nsid]]`. Behind a `?`: `zone=eth0` is the interface of a link-local address.
 * Throws a TypeError that says what is wrong.
 */
export function fromUrl(url: URL): NvmeofOptions {
  const { searchParams } = url
  const unknown = [...searchParams.keys()].find((name) => name !== 'zone')
  if (unknown !== undefined) throw new TypeError(`?${unknown} is unknown in an NVMe/TCP address; known is zone`)
  const zone = searchParams.get('zone')
  const address = zone === null ? url.host : url.host.replace(']', `%${zone}]`)
  if (url.protocol !== 'nvme-tcp:' || parsePortal(address, NVME_PORT) === undefined) throw new TypeError(FORM)
  if (url.username !== '' || url.password !== '') throw new TypeError(`${FORM}: it takes no user and no secret`)
  const [subsystem = '', nsid = '', ...rest] = url.pathname.split('/').slice(1).map(decoded)
  if (rest.length > 0)
    throw new TypeError(`${url.pathname} has too many parts; it must be /subsystem or /subsystem/namespace`)
  if (nsid !== '' && !/^\d{1,10}$/.test(nsid)) {
    throw new TypeError(`the namespace of an NVMe/TCP address is ${JSON.stringify(nsid)}; it must be a number`)
  }
  return {
    portals: [address],
    ...(subsystem === '' ? {} : { subsystem }),
    ...(nsid === '' ? {} : { namespaces: [Number(nsid)] }),
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
