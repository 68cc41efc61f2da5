import { BlockError } from '@blockbraid/core'
import type { Telling } from '@blockbraid/wire'
import { parseSendTargets } from '../../login/send-targets.ts'
import type { Session } from '../../session/session.ts'
import type { Portal } from '../place/portal.ts'

const TEXT_LIMIT = 4 * 1024 * 1024

/** Asks a discovery session for all targets (RFC 7143 appendix C), and ends it. */
export async function askTargets(session: Session, portal: Portal, signal: AbortSignal): Promise<Telling> {
  const stop = (): void => session.drop(new BlockError('ABORTED', `${portal.address}: discovery was called off`))
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  try {
    const odd: string[] = []
    const text = await session.text(Buffer.from('SendTargets=All\0'), TEXT_LIMIT)
    return { found: parseSendTargets(text, (what) => odd.push(what)), odd }
  } finally {
    // Not waited for: what it has said is enough.
    void session.logout().finally(() => signal.removeEventListener('abort', stop))
  }
}
