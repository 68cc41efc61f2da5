import type { DeviceConfig } from './config.ts'
import type { Source } from './source.ts'
import { ConfigError } from './source.ts'

/** Refuses two entries for one volume that do not both say that it is shared. Throws a {@link ConfigError}. */
export function checkShared(devices: readonly DeviceConfig[], source: Source): void {
  for (const [index, { volume, shared }] of devices.entries()) {
    const first = devices.findIndex((other, before) => {
      return before < index && other.volume === volume && !(other.shared && shared)
    })
    if (first < 0) continue
    const place = source.locate(['devices', index, 'volume'])
    const other = `devices[${first}].volume at ${source.locate(['devices', first, 'volume'])}`
    const each = volume === '*' ? 'each volume' : 'the volume'
    const why = `${each} would be one disk under two names: remove one entry, or put "shared: true" into both`
    throw new ConfigError(`${place}: devices[${index}].volume is "${volume}", as is ${other}: ${why}`)
  }
}
