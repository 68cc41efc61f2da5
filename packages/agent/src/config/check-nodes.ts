import type { RideOutProfile } from '@blockbraid/core'
import { rideOutProfiles } from '@blockbraid/core'
import type { DeviceConfig } from './config.ts'
import type { Source } from './source.ts'
import { ConfigError } from './source.ts'

/** What core uses where `noPathTimeout` is left out, milliseconds. */
const NO_PATH_TIMEOUT = 30_000
/** What transport-nbd uses where `requestTimeout` is left out and a node has several connections, milliseconds. */
const REQUEST_TIMEOUT = 60_000

/** Checks what no schema can say of devices that become kernel nodes. Throws a {@link ConfigError}. */
export function checkNodes(devices: readonly DeviceConfig[], source: Source): void {
  for (const [index, { transport, multipath }] of devices.entries()) {
    const { kernel, connections, requestTimeout } = transport.options
    if (!/^(@blockbraid\/transport-)?nbd$/.test(transport.use) || (kernel !== true && kernel !== 'auto')) continue
    const several = typeof connections === 'number' && connections > 1
    const timeout = typeof requestTimeout === 'number' ? requestTimeout : several ? REQUEST_TIMEOUT : 0
    const noPathTimeout = multipath?.noPathTimeout ?? profileOf(multipath)?.noPathTimeout ?? NO_PATH_TIMEOUT
    if (timeout === 0 || timeout > noPathTimeout) continue
    const is = `devices[${index}].transport.requestTimeout is ${timeout / 1000}s`
    const right = `longer than devices[${index}].multipath.noPathTimeout, ${noPathTimeout / 1000}s`
    const why = 'the kernel drops the connection of a request that waits for a path longer than that'
    const place = source.locate(['devices', index, 'transport', 'requestTimeout'])
    throw new ConfigError(`${place}: ${is}: it must be ${right}: ${why}`)
  }
}

function profileOf(multipath: DeviceConfig['multipath']): RideOutProfile | undefined {
  return multipath?.rideOut === undefined ? undefined : rideOutProfiles[multipath.rideOut]
}
