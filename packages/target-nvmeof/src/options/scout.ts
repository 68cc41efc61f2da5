import type { NvmeofOptions } from './options.ts'

/** Options of a target that only looks around: the same ones, as a controller of its own disturbs nobody. */
export function scout(options: NvmeofOptions): NvmeofOptions {
  return options
}
