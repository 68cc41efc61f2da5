import { parsePortal } from '../place/portal.ts'
import type { ChapCredentials } from './credentials.ts'
import type { IscsiOptions } from './options.ts'

const QUERIES = ['chap', 'allowShort', 'discoveryChap', 'zone']

/**
 * Options of `iscsi://[user[%secret]@]host[:port]/[target[/lun]]`. A secret that is left out is taken from the
 * environment, ISCSI_CHAP_SECRET. Behind a `?`: `chap=sha256,md5` names the algorithms, `allowShort` takes a secret below
 * 12 bytes, `discoveryChap=none` asks for targets without it, `zone=eth0` is the interface of a link-local address.
 * Throws a TypeError that says what is wrong, without the secret.
 */
export function fromUrl(url: URL): IscsiOptions {
  const { searchParams } = url
  const unknown = [...searchParams.keys()].find((name) => !QUERIES.includes(name))
  if (unknown !== undefined) {
    throw new TypeError(`?${unknown} is unknown in an iSCSI address; known are ${QUERIES.join(', ')}`)
  }
  const zone = searchParams.get('zone')
  const address = zone === null ? url.host : url.host.replace(']', `%${zone}]`)
  const discoveryChap = searchParams.get('discoveryChap')
  if (discoveryChap !== null && discoveryChap !== 'none') {
    throw new TypeError(`?discoveryChap is ${JSON.stringify(discoveryChap)}; it must be none`)
  }
  if (url.protocol !== 'iscsi:' || parsePortal(address) === undefined) {
    throw new TypeError('an iSCSI address looks like iscsi://[user[%secret]@]host[:port]/[target[/lun]]')
  }
  const [target = '', lun = '', ...rest] = url.pathname.split('/').slice(1).map(decoded)
  if (rest.length > 0) throw new TypeError(`${url.pathname} has too many parts; it must be /target or /target/lun`)
  if (lun !== '' && !/^\d{1,8}$/.test(lun)) {
    throw new TypeError(`the LUN of an iSCSI address is ${JSON.stringify(lun)}; it must be a number`)
  }
  return {
    portals: [address],
    // Beside a running agent of this host, its sessions must not be taken over.
    isid: 'random',
    ...(target === '' ? {} : { target }),
    ...(lun === '' ? {} : { luns: [Number(lun)] }),
    ...(url.username === '' ? {} : { chap: chapOf(url) }),
    ...(discoveryChap === null ? {} : { discoveryChap: false as const }),
  }
}

function chapOf(url: URL): ChapCredentials {
  const at = url.username.indexOf('%')
  const user = at < 0 ? url.username : url.username.slice(0, at)
  const given = at < 0 ? url.password : url.username.slice(at + 1)
  const secret = given === '' ? process.env['ISCSI_CHAP_SECRET'] : decoded(given)
  if (secret === undefined || secret === '') {
    const name = JSON.stringify(user)
    throw new TypeError(`the address has the user ${name} and no secret: write user%secret, or set ISCSI_CHAP_SECRET`)
  }
  const algorithms = url.searchParams.get('chap')?.split(',') as ChapCredentials['algorithms']
  const allowShort = url.searchParams.has('allowShort')
  return { user, secret, ...(algorithms && { algorithms }), ...(allowShort && { allowShort }) }
}

// A URL escapes what it cannot hold; a secret may have a % of its own.
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
