import type { NvmeRequest, NvmeReserveOptions } from '@blockbraid/target-nvmeof'
import {
  AcquireAction,
  RegisterAction,
  ReleaseAction,
  reservationAcquire,
  reservationRegister,
  reservationRelease,
} from '@blockbraid/target-nvmeof'
import { parseKey, parseType } from '../by-hand/request.ts'
import { defaultType } from '../by-hand/reservation-types.ts'
import { reservationTypes } from './forms.ts'
import type { NvmeHandRequest, NvmeWords } from './request.ts'
import { refuseRest, silent } from './request.ts'

type Build = (nsid: number, action: number, options: NvmeReserveOptions) => NvmeRequest

interface Change {
  readonly build: Build
  readonly action: number
  readonly takes: readonly (keyof NvmeWords)[]
}

/** What a change of reservations takes. */
const changes: Readonly<Record<string, Change>> = {
  'resv-unregister': { build: reservationRegister, action: RegisterAction.Unregister, takes: ['key'] },
  'resv-acquire': { build: reservationAcquire, action: AcquireAction.Acquire, takes: ['key', 'type'] },
  'resv-preempt': { build: reservationAcquire, action: AcquireAction.Preempt, takes: ['key', 'victim', 'type'] },
  'resv-release': { build: reservationRelease, action: ReleaseAction.Release, takes: ['key', 'type'] },
  'resv-clear': { build: reservationRelease, action: ReleaseAction.Clear, takes: ['key'] },
}

/** What parses a request that changes reservations; undefined where the name is of none. */
export function parseChange(
  name: string,
): ((words: readonly string[], options: NvmeWords, nsid: number) => NvmeHandRequest) | undefined {
  if (name === 'resv-register') return parseRegister
  if (!Object.hasOwn(changes, name)) return undefined
  const { build, action, takes } = changes[name] as Change
  return (words, options, nsid) => {
    refuseRest(name, words, options, takes)
    const otherKey = takes.includes('victim') ? { otherKey: parseKey(name, 'victim', options.victim) } : {}
    const type = takes.includes('type') ? { type: parseType(reservationTypes, options.type ?? defaultType) } : {}
    return silent(name, build(nsid, action, { key: parseKey(name, 'key', options.key), ...otherKey, ...type }))
  }
}

// SCT 0, SC 83h, without what says whether to try again.
const CONFLICT = 0x83

/** Registers a key, whatever was registered before: a host that has another one has it replaced. */
function parseRegister(words: readonly string[], options: NvmeWords, nsid: number): NvmeHandRequest {
  const name = 'resv-register'
  refuseRest(name, words, options, ['key'])
  const otherKey = parseKey(name, 'key', options.key)
  return {
    ...silent(name, reservationRegister(nsid, RegisterAction.Register, { otherKey })),
    async run(send) {
      const answer = await send(reservationRegister(nsid, RegisterAction.Register, { otherKey }))
      if ((answer.status & 0x7ff) !== CONFLICT) return answer
      return send(reservationRegister(nsid, RegisterAction.Replace, { otherKey, ignoreKey: true }))
    },
  }
}
