import type { MultipathOptions } from './options.ts'
import { resolveOptions } from './options.ts'

/** Throws the TypeError, which names the wrong field, that a device with these options would be refused with. */
export function checkMultipathOptions(options: MultipathOptions): void {
  resolveOptions(options)
}
