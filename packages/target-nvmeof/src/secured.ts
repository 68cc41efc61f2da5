import { randomBytes as systemBytes } from 'node:crypto'
import { BlockError, messageOf } from '@blockbraid/core'
import type { NetworkHost, TlsPsk } from '@blockbraid/wire'
import { openTlsWire } from '@blockbraid/wire'
import type { OpenOptions } from './association/open.ts'
import { authenticator } from './auth/authenticate.ts'
import type { Resolved } from './options/options.ts'
import type { Place } from './place/place.ts'
import type { TlsKeys } from './tls/psk.ts'

/** How associations with a place are connected and secured, TLS over TCP of this machine only. Throws NOT_SUPPORTED where its names are too long for TLS. */
export function securedOf(
  { dhchap, tls }: Pick<Resolved, 'dhchap' | 'tls'>,
  place: Place,
  { network, randomBytes = systemBytes }: Pick<NetworkHost, 'network' | 'randomBytes'>,
): Pick<OpenOptions, 'authenticate' | 'openWire'> {
  return {
    authenticate: dhchap === undefined ? undefined : authenticator(dhchap, place, randomBytes),
    openWire: tls === undefined ? network && ((...how) => network.open(...how)) : opening(pskAt(tls, place)),
  }
}

function opening(psk: TlsPsk): OpenOptions['openWire'] {
  return (endpoint, shared, options) => openTlsWire(endpoint, psk, shared, options)
}

function pskAt(tls: TlsKeys, place: Place): TlsPsk {
  try {
    return tls(place)
  } catch (error) {
    throw new BlockError('NOT_SUPPORTED', `${place.portal.address}: ${messageOf(error)}`, { cause: error })
  }
}
