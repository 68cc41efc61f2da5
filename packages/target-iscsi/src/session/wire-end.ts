import { BlockError } from '@blockbraid/core'
import { errorWords } from '@blockbraid/wire'

/** What a session is told when its connection has ended by itself. */
export function wireEnd(error?: Error): BlockError {
  const why = error === undefined ? 'the target closed the connection' : errorWords(error)
  return new BlockError('CONNECT_FAILED', why, { cause: error })
}
