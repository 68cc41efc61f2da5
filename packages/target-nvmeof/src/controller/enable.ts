import { BlockError } from '@blockbraid/core'
import { demand } from '../nvme/ask.ts'
import { propertyGet, propertySet } from '../nvme/fabrics.ts'
import type { Procedure } from '../nvme/procedure.ts'
import { pause } from '../nvme/procedure.ts'
import type { Capabilities, ControllerStatus } from '../nvme/properties.ts'
import { configuration, DISABLED, decodeCapabilities, decodeStatus, Property, Shutdown } from '../nvme/properties.ts'

/** Reads CAP. Throws where no command set can be chosen. */
export function* readCapabilities(): Procedure<Capabilities> {
  const capabilities = decodeCapabilities(
    yield* demand('Property Get of the capabilities', propertyGet(Property.Capabilities, 8)),
  )
  if (capabilities.leastPage > capabilities.largestPage) {
    throw new BlockError(
      'PROTOCOL',
      `the controller tells a least memory page (MPSMIN ${capabilities.leastPage}) above its largest (MPSMAX ${capabilities.largestPage})`,
    )
  }
  return capabilities
}

/** Reads VS. */
export function* readVersion(): Procedure<number> {
  return (yield* demand('Property Get of the version', propertyGet(Property.Version, 4))).result
}

/** Reads CSTS. */
export function* readStatus(): Procedure<ControllerStatus> {
  const { result } = yield* demand('Property Get of the status', propertyGet(Property.Status, 4))
  return decodeStatus(result)
}

function* configure(value: number): Procedure<void> {
  yield* demand('Property Set of the configuration', propertySet(Property.Configuration, value))
}

/** Enables the controller: CC.EN=1, then CSTS.RDY=1 within CAP.TO (NVMe Base 2.1 §3.5.4). Throws where it does not come up. */
export function* enable(capabilities: Capabilities): Procedure<void> {
  yield* configure(configuration(capabilities))
  const { readyTimeout } = capabilities
  yield* until('become ready (CSTS.RDY=1)', readyTimeout, ({ ready, fatal }) => {
    if (fatal) throw new BlockError('CONNECT_FAILED', 'the controller has failed as it was enabled (CSTS.CFS=1)')
    return ready
  })
}

/**
 * Disables the controller: CC.EN=0, then CSTS.RDY=0 within `readyTimeout`. When it returns, no command that was sent
 * to it can change data any more (NVMe Base 2.1 §3.6).
 */
export function* disable(readyTimeout: number): Procedure<void> {
  yield* configure(DISABLED)
  // A controller that has failed is no proof: it has to say that it is not ready.
  yield* until('get disabled (CSTS.RDY=0)', readyTimeout, ({ ready }) => !ready)
}

// What a controller gets that does not say how long it needs.
const SHUTDOWN_TIME = 5000

/** Shuts the controller down: CC.SHN=01b, then CSTS.SHST=10b within `time`, milliseconds; 0: 5 seconds (NVMe Base 2.1 §3.6.2). */
export function* shutDown(capabilities: Capabilities, time: number): Procedure<void> {
  yield* configure(configuration(capabilities, Shutdown.Normal))
  yield* until('get shut down (CSTS.SHST=10b)', time === 0 ? SHUTDOWN_TIME : time, ({ shutdown }) => shutdown === 2)
}

const FIRST_PAUSE = 5
const LONGEST_PAUSE = 100

function* until(what: string, time: number, reached: (status: ControllerStatus) => boolean): Procedure<void> {
  let waited = 0
  for (let step = FIRST_PAUSE; ; step = Math.min(2 * step, LONGEST_PAUSE)) {
    if (reached(yield* readStatus())) return
    const left = time - waited
    if (left <= 0) throw new BlockError('TIMED_OUT', `the controller did not ${what} within ${time} ms`)
    const next = Math.min(step, left)
    yield* pause(next)
    waited += next
  }
}
