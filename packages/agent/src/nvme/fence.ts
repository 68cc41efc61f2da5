import { Cns, decodeController, Feature, getFeature, identify } from '@blockbraid/target-nvmeof'
import { facts } from '../text/facts.ts'
import type { NvmeHandRequest } from './request.ts'

/** What a controller offers for the proof that writes wait for when its path is lost. Times are milliseconds. */
interface FenceOffer {
  /** Keep-alive timeout that the controller counts by; 0: none. */
  readonly keepAliveTimeout: number
  /** Granularity of it (KAS); 0: there is no keep alive. */
  readonly keepAliveGranularity: number
  /** Whether any command is a sign of life (TBKAS). */
  readonly trafficBased: boolean
  /** How long it may still work on commands (CQT); 0: it does not say. */
  readonly quiesceTime: number
  /** Cross-controller resets at once (CCRL); 0: it does not do them. */
  readonly crossResets: number
  /** What is waited for where nothing but time can be had; without the time to quiesce where it is not told. */
  readonly wait: number
}

/** Asks what each controller offers: may writes move fast here? */
export function fenceRequest(): NvmeHandRequest {
  return {
    name: 'fence',
    everyPath: true,
    async run(send) {
      const { status, data, ...rest } = await send(identify(Cns.Controller))
      if (status !== 0) return { status, data, ...rest }
      const told = await send(getFeature(Feature.KeepAliveTimeout))
      return told.status === 0 ? { ...told, data } : told
    },
    decode({ result, data }) {
      const offer = offerOf(result, data)
      return { value: offer, lines: (width) => fenceLines(offer, width) }
    },
  }
}

function offerOf(keepAliveTimeout: number, identified: Uint8Array): FenceOffer {
  const { keepAliveGranularity, trafficBased, quiesceTime, crossResets } = decodeController(identified)
  // Commands of one period are noticed at its end where any of them is a sign of life (NVMe Base 2.1 §3.9).
  const wait = (trafficBased ? 3 : 2) * keepAliveTimeout + quiesceTime
  return { keepAliveTimeout, keepAliveGranularity, trafficBased, quiesceTime, crossResets, wait }
}

function fenceLines(offer: FenceOffer, width: number): string[] {
  const { keepAliveTimeout, keepAliveGranularity, trafficBased, quiesceTime, crossResets } = offer
  return facts(
    [
      ['keep-alive timeout', keepAliveTimeout === 0 ? 'none' : seconds(keepAliveTimeout)],
      ['in steps of', keepAliveGranularity === 0 ? 'not told' : seconds(keepAliveGranularity)],
      ['kept alive by', trafficBased ? 'any command' : 'Keep Alive commands'],
      ['time to quiesce', quiesceTime === 0 ? 'not told' : seconds(quiesceTime)],
      ['cross-controller reset', crossResets === 0 ? 'no' : `yes, ${crossResets} at once`],
      ['writes of a lost path', waitWords(offer)],
    ],
    width,
  )
}

function waitWords({ keepAliveTimeout, quiesceTime, crossResets, wait }: FenceOffer): string {
  const fast = `move at once where its admin queue still answers${crossResets > 0 ? ', or another path has it reset' : ''}`
  if (keepAliveTimeout === 0) return `${fast}; else they wait until it is back, as there is no keep alive`
  const told = quiesceTime > 0 ? '' : ' and the option quiesceTime, which is assumed'
  return `${fast}; else after ${seconds(wait)}${told}`
}

function seconds(milliseconds: number): string {
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000} s` : `${milliseconds} ms`
}
