/** What a target offers; each value bounds what a login may agree on. */
export interface TargetKeys {
  headerDigest: readonly ('None' | 'CRC32C')[]
  dataDigest: readonly ('None' | 'CRC32C')[]
  initialR2T: boolean
  immediateData: boolean
  firstBurstLength: number
  maxBurstLength: number
  maxRecvDataSegmentLength: number
  maxOutstandingR2T: number
}

/** What was agreed on; begins as the defaults of RFC 7143 §13. */
export interface Agreed {
  headerDigest: boolean
  dataDigest: boolean
  initialR2T: boolean
  immediateData: boolean
  firstBurstLength: number
  maxBurstLength: number
  /** The initiator's MaxRecvDataSegmentLength. */
  maxSendDataSegmentLength: number
  maxOutstandingR2T: number
}

/** The defaults of RFC 7143 §13. */
export function defaultsAgreed(): Agreed {
  return {
    headerDigest: false,
    dataDigest: false,
    initialR2T: true,
    immediateData: true,
    firstBurstLength: 65_536,
    maxBurstLength: 262_144,
    maxSendDataSegmentLength: 8192,
    maxOutstandingR2T: 1,
  }
}

/** Answers one key: the text to send, undefined where none is due; sets what was agreed on. */
type KeyRule = (value: string, agreed: Agreed, target: TargetKeys) => string | undefined

const REJECT = 'Reject'

function numberOf(value: string, least: number, most: number): number | undefined {
  if (!/^(0[xX][0-9a-fA-F]{1,8}|\d{1,10})$/.test(value)) return undefined
  const number = Number(value)
  return number >= least && number <= most ? number : undefined
}

function smaller(least: number, most: number, set: (agreed: Agreed, target: TargetKeys, offered: number) => number) {
  return (value: string, agreed: Agreed, target: TargetKeys): string => {
    const offered = numberOf(value, least, most)
    return offered === undefined ? REJECT : String(set(agreed, target, offered))
  }
}

function digest(field: 'headerDigest' | 'dataDigest'): KeyRule {
  return (value, agreed, target) => {
    const chosen = value.split(',').find((one) => (target[field] as readonly string[]).includes(one))
    if (chosen === undefined) return REJECT
    agreed[field] = chosen === 'CRC32C'
    return chosen
  }
}

function truth(decide: (agreed: Agreed, target: TargetKeys, offered: boolean) => boolean): KeyRule {
  return (value, agreed, target) => {
    if (value !== 'Yes' && value !== 'No') return REJECT
    return decide(agreed, target, value === 'Yes') ? 'Yes' : 'No'
  }
}

const MOST = 16_777_215

/** Every operational key of RFC 7143 §13 and RFC 7144 §7 that a target answers. */
export const operationalKeys: Readonly<Record<string, KeyRule>> = {
  HeaderDigest: digest('headerDigest'),
  DataDigest: digest('dataDigest'),
  MaxConnections: smaller(1, 65_535, () => 1),
  InitialR2T: truth((agreed, target, offered) => {
    agreed.initialR2T = offered || target.initialR2T
    return agreed.initialR2T
  }),
  ImmediateData: truth((agreed, target, offered) => {
    agreed.immediateData = offered && target.immediateData
    return agreed.immediateData
  }),
  MaxRecvDataSegmentLength: (value, agreed) => {
    const declared = numberOf(value, 512, MOST)
    if (declared === undefined) return REJECT
    agreed.maxSendDataSegmentLength = declared
    return undefined
  },
  MaxBurstLength: smaller(512, MOST, (agreed, target, offered) => {
    agreed.maxBurstLength = Math.min(offered, target.maxBurstLength)
    return agreed.maxBurstLength
  }),
  FirstBurstLength: smaller(512, MOST, (agreed, target, offered) => {
    agreed.firstBurstLength = Math.min(offered, target.firstBurstLength)
    return agreed.firstBurstLength
  }),
  DefaultTime2Wait: smaller(0, 3600, (_agreed, _target, offered) => Math.max(offered, 0)),
  DefaultTime2Retain: smaller(0, 3600, () => 0),
  MaxOutstandingR2T: smaller(1, 65_535, (agreed, target, offered) => {
    agreed.maxOutstandingR2T = Math.min(offered, target.maxOutstandingR2T)
    return agreed.maxOutstandingR2T
  }),
  DataPDUInOrder: truth(() => true),
  DataSequenceInOrder: truth(() => true),
  ErrorRecoveryLevel: smaller(0, 2, () => 0),
  iSCSIProtocolLevel: smaller(0, 31, (_agreed, _target, offered) => Math.min(offered, 1)),
  TaskReporting: (value) => (value.split(',').includes('RFC3720') ? 'RFC3720' : REJECT),
  // Markers are obsolete (RFC 7143 §13.25).
  IFMarker: () => 'No',
  OFMarker: () => 'No',
  IFMarkInt: () => REJECT,
  OFMarkInt: () => REJECT,
}

/** Keys that only say something and get no answer. */
export const declarations: ReadonlySet<string> = new Set([
  'InitiatorName',
  'InitiatorAlias',
  'TargetName',
  'TargetAlias',
  'TargetAddress',
  'TargetPortalGroupTag',
  'SessionType',
  'X#NodeArchitecture',
])

/** Keys that have no meaning in a discovery session (RFC 7143 §13). */
export const irrelevantInDiscovery: ReadonlySet<string> = new Set([
  'MaxConnections',
  'InitialR2T',
  'ImmediateData',
  'MaxBurstLength',
  'FirstBurstLength',
  'MaxOutstandingR2T',
  'DataPDUInOrder',
  'DataSequenceInOrder',
])

/** What the target must offer by itself, as its limits are narrower than defaults the initiator left in place. */
export function ownOffers(target: TargetKeys, agreed: Agreed, asked: ReadonlySet<string>): [string, string][] {
  const offers: [string, string][] = []
  if (!asked.has('ImmediateData') && !target.immediateData) offers.push(['ImmediateData', 'No'])
  if (!asked.has('MaxBurstLength') && target.maxBurstLength < agreed.maxBurstLength) {
    offers.push(['MaxBurstLength', String(target.maxBurstLength)])
  }
  const first = Math.min(target.firstBurstLength, target.maxBurstLength, agreed.maxBurstLength)
  if (!asked.has('FirstBurstLength') && first < agreed.firstBurstLength)
    offers.push(['FirstBurstLength', String(first)])
  if (!asked.has('HeaderDigest') && !target.headerDigest.includes('None')) offers.push(['HeaderDigest', 'CRC32C'])
  if (!asked.has('DataDigest') && !target.dataDigest.includes('None')) offers.push(['DataDigest', 'CRC32C'])
  return offers
}
