import { BlockError } from '@blockbraid/core'

/** Whether a target supports a command; `unknown`: it cannot tell just now. */
export type CommandSupport = 'supported' | 'vendor-specific' | 'unsupported' | 'unknown'

/** Decodes REPORT SUPPORTED OPERATION CODES data of one command (SPC-5). PROTOCOL when cut. */
export function decodeCommandSupport(bytes: Uint8Array): CommandSupport {
  if (bytes.length < 2) {
    throw new BlockError('PROTOCOL', `REPORT SUPPORTED OPERATION CODES data of ${bytes.length} bytes is too short`)
  }
  switch (bytes[1]! & 7) {
    case 1:
      return 'unsupported'
    case 3:
      return 'supported'
    case 5:
      return 'vendor-specific'
    default:
      return 'unknown'
  }
}
