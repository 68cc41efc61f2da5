import type { ControllerFacts } from '../association/association.ts'
import { DRIFT, periodsOf } from '../controller/keep-alive-choice.ts'
import { decodeController } from '../nvme/controller-data.ts'

/** How a controller watches its host, as far as the fence by time needs it. */
export interface Watch {
  /** Keep Alive Timeout as the controller has it, milliseconds; 0: it watches nobody. */
  readonly keepAliveTimeout: number
  /** Whether any command is a sign of life. */
  readonly trafficBased: boolean
  /** Command Quiesce Time as the controller states it, milliseconds; 0: it does not. */
  readonly quiesceTime: number
}

/** When an association was last alive, µs of the clock. */
export interface LastSigns {
  /** The controller was heard. */
  readonly heardAt: number
  /** Nothing was sent any more. */
  readonly quietAt: number
}

/** How a controller watches; its timer may be as coarse as it says, and so be later than its time-out. */
export function watchOf({ keepAliveTimeout, trafficBased, quiesceTime, identify }: ControllerFacts): Watch {
  const step = Math.max(decodeController(identify).keepAliveGranularity, 1)
  return { keepAliveTimeout: Math.ceil(keepAliveTimeout / step) * step, trafficBased, quiesceTime }
}

/**
 * When a controller that nobody has ended has given up by itself, and all that was sent to it has ended: µs of the clock;
 * undefined where it never does. Its timer starts anew with each keep-alive command, the last of which came before the
 * host fell silent; with traffic-based keep-alive, commands of one period are noticed at its end, which adds another one
 * (NVMe Base 2.1 §3.9, Communication Loss Handling §9.6). After that it has its Command Quiesce Time, or `assumed`, ms.
 */
export function quietBy({ heardAt, quietAt }: LastSigns, watch: Watch, assumed: number): number | undefined {
  const { keepAliveTimeout, trafficBased, quiesceTime } = watch
  if (keepAliveTimeout === 0) return undefined
  const periods = periodsOf(trafficBased)
  const period = keepAliveTimeout * DRIFT * 1000
  const quiesce = (quiesceTime === 0 ? assumed : quiesceTime) * DRIFT * 1000
  return Math.max(heardAt + periods * period, quietAt + (periods - 1) * period) + quiesce
}
