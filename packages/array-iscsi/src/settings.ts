import type { Access } from '@blockbraid/core'
import { isVolumeId } from '@blockbraid/core'
import { integer, oneOf, someOf, wrong } from './checks.ts'
import type { IscsiChap } from './login/chap.ts'
import { chapNumbers } from './login/chap.ts'
import type { TargetKeys } from './login/keys.ts'
import type { IscsiArrayOptions, IscsiLunOptions, IscsiPortalOptions } from './options.ts'

/** Options with their defaults. */
export interface ArraySettings {
  readonly name: string
  readonly alias: string
  readonly portals: readonly Required<IscsiPortalOptions>[]
  readonly chap: IscsiChap | undefined
  readonly discoveryChap: boolean
  readonly keys: TargetKeys
  readonly window: number
  readonly collapseStatus: boolean
  readonly earlyStatus: boolean
  readonly descriptorSense: boolean
  readonly tpgs: number
  readonly transitionTime: number
  readonly loginAttention: boolean
  readonly reinstate: boolean | 'lazy'
  readonly loginSegment: number
  readonly loginTimeout: number
  readonly log: boolean
}

/** Where a LUN is. */
export interface LunPlace {
  readonly lun: number
  readonly portals: readonly number[]
  readonly access: Access
}

const DIGESTS = ['None', 'CRC32C'] as const
const TPGS = { none: 0, implicit: 1, explicit: 2, both: 3 } as const
/** Every access state. */
export const ACCESS: readonly Access[] = ['optimized', 'non-optimized', 'standby', 'unavailable', 'transitioning']

/** Fills in defaults; throws a TypeError that names a wrong field. */
export function resolveOptions(options: IscsiArrayOptions): ArraySettings {
  const { name, alua = 'both', portals = [{}], chap, reinstate = true } = options
  if (typeof name !== 'string' || !/^(iqn|eui|naa)\.[\x21-\x7e]{1,219}$/.test(name)) {
    throw wrong('name', name, 'an iSCSI name such as iqn.2026-11.io.blockbraid:array0')
  }
  oneOf('alua', alua, Object.keys(TPGS))
  oneOf('reinstate', reinstate, [true, false, 'lazy'])
  if (!Array.isArray(portals) || portals.length === 0) throw wrong('portals', portals, 'a list of at least one')
  if (chap !== undefined) checkChap(chap)
  const bytes = (field: 'firstBurstLength' | 'maxBurstLength' | 'maxRecvDataSegmentLength', fallback: number): number =>
    integer(field, options[field] ?? fallback, 512, 16_777_215)
  return {
    name,
    alias: options.alias ?? '',
    portals: portals.map(({ host = '127.0.0.1', port = 0, group }, number) => ({
      host,
      port: integer(`portals[${number}].port`, port, 0, 65_535),
      group: integer(`portals[${number}].group`, group ?? number + 1, 1, 65_535),
    })),
    chap,
    discoveryChap: options.discoveryChap ?? true,
    keys: {
      headerDigest: someOf('headerDigest', options.headerDigest ?? DIGESTS, DIGESTS),
      dataDigest: someOf('dataDigest', options.dataDigest ?? DIGESTS, DIGESTS),
      initialR2T: options.initialR2T ?? false,
      immediateData: options.immediateData ?? true,
      firstBurstLength: bytes('firstBurstLength', 262_144),
      maxBurstLength: bytes('maxBurstLength', 1_048_576),
      maxRecvDataSegmentLength: bytes('maxRecvDataSegmentLength', 262_144),
      maxOutstandingR2T: integer('maxOutstandingR2T', options.maxOutstandingR2T ?? 8, 1, 65_535),
    },
    window: integer('window', options.window ?? 128, 1, 65_536),
    collapseStatus: options.collapseStatus ?? true,
    earlyStatus: options.earlyStatus ?? false,
    descriptorSense: options.descriptorSense ?? false,
    tpgs: TPGS[alua],
    transitionTime: integer('transitionTime', options.transitionTime ?? 0, 0, 255),
    loginAttention: options.loginAttention ?? true,
    reinstate,
    loginSegment: integer('loginSegment', options.loginSegment ?? 8192, 1, 8192),
    loginTimeout: integer('loginTimeout', options.loginTimeout ?? 15_000, 1, 3_600_000),
    log: options.log ?? false,
  }
}

function checkChap({ user, secret, algorithms, target }: IscsiChap): void {
  const text = (field: string, value: unknown): void => {
    if (typeof value !== 'string' || value === '') throw wrong(field, value, 'a text that is not empty')
  }
  text('chap.user', user)
  text('chap.secret', secret)
  if (algorithms !== undefined) someOf('chap.algorithms', algorithms, [...chapNumbers.values()])
  if (target === undefined) return
  text('chap.target.user', target.user)
  text('chap.target.secret', target.secret)
}

/** Where a LUN is, checked; `field` names it in errors, `number` is its place in the list. */
export function resolveLun(options: IscsiLunOptions, field: string, number: number, portals: number): LunPlace {
  const { volume, device, access = 'optimized' } = options
  if (!isVolumeId(volume)) throw wrong(`${field}.volume`, volume, 'an identity such as naa.6001405…')
  const where = options.portals ?? Array.from({ length: portals }, (_, portal) => portal)
  for (const portal of where) integer(`${field}.portals`, portal, 0, portals - 1)
  for (const portal of where) {
    const one = Array.isArray(device) ? device[portal] : device
    if (one === undefined) throw wrong(`${field}.device`, device, `a block device, or one for portal ${portal}`)
  }
  oneOf(`${field}.access`, access, ACCESS)
  return { lun: integer(`${field}.lun`, options.lun ?? number, 0, 0xff_ffff), portals: where, access }
}

/** Throws where two LUNs of a list have the same number at a portal. */
export function checkDistinct(luns: readonly LunPlace[]): void {
  const taken = new Set<string>()
  for (const [number, { lun, portals }] of luns.entries()) {
    for (const portal of portals) {
      const place = `${lun} ${portal}`
      if (taken.has(place)) throw wrong(`luns[${number}].lun`, lun, `one that portal ${portal} does not have yet`)
      taken.add(place)
    }
  }
}
