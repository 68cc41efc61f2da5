import type { Attachment, AttachOptions, BlockDevice, BlockError, Transport } from '@blockbraid/core'
import type { NbdExportStats } from './export.ts'

/** An attachment that also tells its counters. */
export interface NbdAttachment extends Attachment {
  /** Why it is an export and no kernel node, where `kernel` is `auto`. */
  readonly fallback?: BlockError
  /** Counters since it was attached. */
  stats(): NbdExportStats
}

/** A transport whose attachments are exports of one NBD server, or kernel nodes. */
export interface NbdTransport extends Transport {
  /** Adds an export, or makes a node or takes one over, named `options.name`. */
  attach(device: BlockDevice, options: AttachOptions): Promise<NbdAttachment>
}
