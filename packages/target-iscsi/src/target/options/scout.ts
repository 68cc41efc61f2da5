import type { IscsiOptions } from './options.ts'

/** Options of a target that only looks around: its logins take no session of a running agent of this host. */
export function scout(options: IscsiOptions): IscsiOptions {
  return { ...options, isid: 'random' }
}
