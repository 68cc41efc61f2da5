import type { ScsiAnswer } from '@blockbraid/target-iscsi'
import { decodeSense, describeSense, judge, ScsiStatus } from '@blockbraid/target-iscsi'

/** Whether a command did what it was sent for. */
export function succeeded({ status, sense }: ScsiAnswer): boolean {
  return judge(status, decodeSense(sense)).status === 0
}

/** Status and sense data in words: `illegal request (05/24/00): invalid field in command`. */
export function describeAnswer({ status, sense }: ScsiAnswer): string {
  const decoded = decodeSense(sense)
  const { text } = judge(status, decoded)
  if (status !== ScsiStatus.CheckCondition) return `${text} (status 0x${status.toString(16).padStart(2, '0')})`
  if (decoded === undefined) return text
  const codes = describeSense(decoded)
  const lba = decoded.information === undefined ? '' : `, at ${decoded.information}`
  return codes.startsWith(`${text} (`) ? `${codes}${lba}` : `${codes}: ${text}${lba}`
}
