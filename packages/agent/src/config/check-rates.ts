import { messageOf, resolveRates } from '@blockbraid/core'
import type { DeviceConfig } from './config.ts'
import type { Source } from './source.ts'
import { ConfigError } from './source.ts'

/** Refuses rates that no pair can be held to. Throws a {@link ConfigError}. */
export function checkRates(devices: readonly DeviceConfig[], source: Source): void {
  for (const [index, { rates }] of devices.entries()) {
    try {
      resolveRates(rates)
    } catch (error) {
      const at = source.locate(['devices', index, 'rates'])
      throw new ConfigError(`${at}: devices[${index}].rates.${messageOf(error)}`, { cause: error })
    }
  }
}
