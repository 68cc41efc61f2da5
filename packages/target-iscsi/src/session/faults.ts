import type { Task } from './task.ts'
import { Direction } from './task.ts'

/** What is wrong with a Data-In of `length` bytes at `offset` (RFC 7143 §11.7); undefined when nothing is. */
export function dataInFault(task: Task | undefined, tag: number, offset: number, length: number): string | undefined {
  if (task === undefined) return `data for tag ${tag}, which no command has`
  if (task.direction !== Direction.Read) return 'data for a command that reads nothing'
  if (offset !== task.received) return `data at byte ${offset} of a command, expected at ${task.received}`
  if (offset + length <= task.length) return undefined
  return `data up to byte ${offset + length} of a command of ${task.length} bytes`
}

/** What is wrong with an R2T for `length` bytes at `offset` (RFC 7143 §11.8); undefined when nothing is. */
export function readyFault(
  task: Task | undefined,
  tag: number,
  offset: number,
  length: number,
  maxBurst: number,
): string | undefined {
  if (task === undefined) return `R2T for tag ${tag}, which no command has`
  if (task.direction !== Direction.Write) return 'R2T for a command that writes nothing'
  if (length === 0 || length > maxBurst) return `R2T for ${length} bytes; 1 to ${maxBurst} were agreed on`
  if (offset + length > task.length) return `R2T up to byte ${offset + length} of a command of ${task.length} bytes`
  // In order and without overlap, as DataSequenceInOrder=Yes says (§13.19): no byte is sent twice.
  if (offset >= task.sent) return undefined
  return `R2T at byte ${offset} of a command of which ${task.sent} bytes were sent`
}
