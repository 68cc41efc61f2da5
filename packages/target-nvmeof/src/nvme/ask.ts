import type { NvmeRequest } from './command.ts'
import { putCommand } from './command.ts'
import { mayChangeData } from './effects.ts'
import type { Completion, Procedure, Submission } from './procedure.ts'
import { SQE_LENGTH, submit } from './procedure.ts'
import { StatusError } from './status-error.ts'

/** A request as a procedure submits it. */
export function submissionOf({ command, data }: NvmeRequest): Submission {
  const sqe = new Uint8Array(SQE_LENGTH)
  putCommand(sqe, command)
  return { sqe, data, changes: mayChangeData(command) }
}

/** Has a request run, whatever comes of it. */
export function* ask(request: NvmeRequest): Procedure<Completion> {
  return yield* submit(submissionOf(request))
}

/** Has a request run; an error status is thrown as a {@link StatusError} that begins with `what`. */
export function* demand(what: string, request: NvmeRequest): Procedure<Completion> {
  const completion = yield* ask(request)
  if (completion.status !== 0) throw new StatusError(what, completion.status)
  return completion
}
