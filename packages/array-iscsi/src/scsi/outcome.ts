/**
 * How a command ends, as one number: status << 24 | sense key << 16 | ASC << 8 | ASCQ. 0 is GOOD.
 * Values of SAM-5 §5.3.1 and SPC-4 annex D.
 */
export type Outcome = number

/** Statuses without sense data. */
export const Status = {
  good: 0,
  checkCondition: 0x02,
  conditionMet: 0x04,
  busy: 0x08,
  reservationConflict: 0x18,
  taskSetFull: 0x28,
  acaActive: 0x30,
  taskAborted: 0x40,
} as const

/** The command succeeded. */
export const GOOD: Outcome = 0

/** CHECK CONDITION with this sense: key, ASC and ASCQ as in `0x052000`. */
export function check(sense: number): Outcome {
  return (Status.checkCondition << 24) | sense
}

/** A status without sense data. */
export function statusOnly(status: number): Outcome {
  return status << 24
}

/** Outcomes by what they say. */
export const Check = {
  notReady: check(0x02_0400),
  transitioning: check(0x02_040a),
  standby: check(0x02_040b),
  unavailable: check(0x02_040c),
  mediumErrorRead: check(0x03_1100),
  mediumErrorWrite: check(0x03_0c00),
  internalFailure: check(0x04_4400),
  parameterListLength: check(0x05_1a00),
  invalidOpcode: check(0x05_2000),
  outOfRange: check(0x05_2100),
  invalidField: check(0x05_2400),
  noSuchUnit: check(0x05_2500),
  invalidParameter: check(0x05_2600),
  invalidRelease: check(0x05_2604),
  writeProtected: check(0x07_2700),
  spaceAllocation: check(0x07_2707),
  unsolicitedShort: check(0x0b_0c0d),
  dataDigest: check(0x0b_4705),
} as const

/** Sense of unit attentions: ASC and ASCQ. */
export const Attention = {
  powerOn: 0x2900,
  reset: 0x2903,
  nexusLoss: 0x2907,
  modeParameters: 0x2a01,
  reservationsPreempted: 0x2a03,
  reservationsReleased: 0x2a04,
  registrationsPreempted: 0x2a05,
  accessChanged: 0x2a06,
  accessFailed: 0x2a07,
  capacityChanged: 0x2a09,
  inquiryChanged: 0x3f03,
  lunsChanged: 0x3f0e,
} as const

/** Writes sense data, descriptor or fixed format (SPC-4 §4.5). */
export function encodeSense(outcome: Outcome, descriptor: boolean): Buffer {
  const [key, asc, ascq] = [(outcome >>> 16) & 0xf, (outcome >>> 8) & 0xff, outcome & 0xff]
  if (descriptor) return Buffer.from([0x72, key, asc, ascq, 0, 0, 0, 0])
  const sense = Buffer.alloc(18)
  sense[0] = 0x70
  sense[2] = key
  sense[7] = 10
  sense[12] = asc
  sense[13] = ascq
  return sense
}
