import { BlockError } from '@blockbraid/core'
import type { PluginUse } from '../config/config.ts'
import { hiderOf } from '../config/secrets.ts'
import { ConfigError } from '../config/source.ts'

/** More about a mistake. */
interface Mistake {
  readonly cause?: unknown
  /** Name of the option that is wrong. */
  readonly option?: string | undefined
}

/**
 * The error for a plugin that cannot be used: with its place, or that of one of its options, where a config names it, and
 * without its secrets.
 */
export function mistake(plugin: PluginUse, text: string, { cause, option = '' }: Mistake = {}): Error {
  const hider = hiderOf(plugin.options)
  const told = hider.hide(text)
  const harmless = hider.cause(cause)
  const options = harmless === undefined ? undefined : { cause: harmless }
  const { places = {} } = plugin
  const at = Object.hasOwn(places, option) ? places[option] : plugin.at
  if (at === undefined) return new BlockError('NOT_FOUND', told, options)
  return new ConfigError(`${at}: ${told}`, options)
}
