import type { MultipathOptions } from '@blockbraid/core'
import { checkMultipathOptions, messageOf } from '@blockbraid/core'
import schema from '../../schema/config.schema.json' with { type: 'json' }
import type { DeviceConfig } from './config.ts'
import type { Source } from './source.ts'
import { ConfigError } from './source.ts'
import { formatDuration } from './units.ts'

interface Field {
  readonly $ref?: string
  readonly unit?: string
  readonly else?: Field
  readonly properties?: Readonly<Record<string, Field>>
}

/** Refuses options that no pair can have, each at its place. Throws a {@link ConfigError}. */
export function checkMultipath(devices: readonly DeviceConfig[], source: Source): void {
  for (const [index, { multipath }] of devices.entries()) if (multipath !== undefined) check(index, multipath, source)
}

function check(index: number, multipath: MultipathOptions, source: Source): void {
  try {
    checkMultipathOptions(multipath)
  } catch (error) {
    const message = messageOf(error)
    const [, name = '', is = '', must = ''] = /^([\w.]+) is (\S+); it must be (.*)$/s.exec(message) ?? []
    const path = ['devices', index, 'multipath', ...name.split('.').filter((step) => step !== '')]
    const field = `devices[${index}].multipath`
    const text =
      must === ''
        ? `${field}: ${message}`
        : `${field}.${name} is ${source.spelling(path) ?? is}: it must be ${isTime(name) ? inUnits(must) : must}`
    throw new ConfigError(`${source.locate(path)}: ${text}`, { cause: error })
  }
}

function isTime(name: string): boolean {
  const defs: Readonly<Record<string, Field>> = schema.$defs as never
  let field: Field | undefined = defs['multipath']
  for (const step of name.split('.')) field = field?.properties?.[step]
  const target = defs[field?.$ref?.replace(/^.*\//, '') ?? ''] ?? field?.else
  return target?.unit === 'milliseconds'
}

/** A range of milliseconds as a config has times. */
function inUnits(range: string): string {
  return range.replace(/ milliseconds$/, '').replace(/\d+/g, (number) => formatDuration(Number(number)))
}
