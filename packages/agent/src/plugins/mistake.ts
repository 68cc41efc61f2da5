import { BlockError } from '@blockbraid/core'
import type { PluginUse } from '../config/config.ts'
import { hiderOf } from '../config/secrets.ts'
import { ConfigError } from '../config/source.ts'

/** The error for a plugin that cannot be used: with its place where a config names it, and without its secrets. */
export function mistake(plugin: PluginUse, text: string, cause?: unknown): Error {
  const hider = hiderOf(plugin.options)
  const told = hider.hide(text)
  const harmless = hider.cause(cause)
  const options = harmless === undefined ? undefined : { cause: harmless }
  if (plugin.at === undefined) return new BlockError('NOT_FOUND', told, options)
  return new ConfigError(`${plugin.at}: ${told}`, options)
}
