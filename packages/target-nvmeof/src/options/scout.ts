import type { NvmeofOptions } from './options.ts'

/** Options of a target that only looks around: it registers nothing, and a controller of its own disturbs nobody. */
export function scout({ registerKey: _, ...options }: NvmeofOptions): NvmeofOptions {
  return options
}
