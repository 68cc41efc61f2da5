import type { NvmeAnswer } from '@blockbraid/target-nvmeof'
import { describeStatus } from '@blockbraid/target-nvmeof'

/** Whether a command did what it was sent for. */
export function succeeded({ status }: NvmeAnswer): boolean {
  return status === 0
}

/** Its status in words: `invalid log page (status 1/09h, do not retry)`. */
export function describeAnswer({ status }: NvmeAnswer): string {
  return describeStatus(status)
}
