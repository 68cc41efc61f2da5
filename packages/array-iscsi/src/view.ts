import { put16, put32 } from '@blockbraid/wire'
import { FINAL, NO_TAG, PduOpcode } from './pdu/opcodes.ts'
import { lunWord } from './scsi/lun.ts'
import { check, encodeSense } from './scsi/outcome.ts'
import type { Connection } from './session/connection.ts'
import { sendPing } from './session/control.ts'
import { beginPdu } from './session/replies.ts'
import type { Session } from './session/session.ts'
import type { IscsiMessage, IscsiSession } from './types.ts'

/** What users of the array see of a session. */
export function viewOf(session: Session, connection: Connection): IscsiSession {
  const { initiatorName, isid, tsih, discovery, portal } = session.identity
  return {
    initiatorName,
    isid,
    tsih,
    discovery,
    portal,
    ...session.agreed,
    inflight: session.inflight,
    cut: () => connection.destroy(),
    reset: () => connection.reset(),
    blackhole: (on) => connection.setDark(on),
    ping: () => sendPing(session),
    message: (message) => sendMessage(session, message),
  }
}

function sendMessage(session: Session, message: IscsiMessage): void {
  const { event, code = 0, parameters = [0, 0, 0], lun = 0, sense } = message
  const at = beginPdu(session, PduOpcode.async, FINAL, NO_TAG, true)
  const { bytes } = session.out
  put32(bytes, at + 8, lunWord(lun))
  bytes[at + 36] = event
  bytes[at + 37] = code
  for (const [n, parameter] of parameters.entries()) put16(bytes, at + 38 + 2 * n, parameter)
  if (sense === undefined) return session.out.end(at)
  const data = encodeSense(check(sense), false)
  const length = Buffer.alloc(2)
  put16(length, 0, data.length)
  session.out.endWith(at, [length, data], 0, 2 + data.length)
}
