import type { NetlinkAttribute, ParsedAttribute } from './attributes.ts'
import { encodeAttributes, parseAttributes } from './attributes.ts'
import { LinuxError } from './errors.ts'

const NLMSG_HEADER = 16
const GENL_HEADER = 4
const NLM_F_REQUEST = 1
const NLM_F_ACK = 4
const NLMSG_ERROR = 2
const NLMSG_DONE = 3
const NLM_F_CAPPED = 0x100
const NLM_F_ACK_TLVS = 0x200
const NLMSGERR_ATTR_MSG = 1

/** A generic netlink message that asks for an acknowledgement. */
export function encodeRequest(
  family: number,
  command: number,
  version: number,
  sequence: number,
  attributes: readonly NetlinkAttribute[],
): Buffer {
  const payload = encodeAttributes(attributes)
  const message = Buffer.alloc(NLMSG_HEADER + GENL_HEADER + payload.length)
  message.writeUInt32LE(message.length, 0)
  message.writeUInt16LE(family, 4)
  message.writeUInt16LE(NLM_F_REQUEST | NLM_F_ACK, 6)
  message.writeUInt32LE(sequence, 8)
  message[NLMSG_HEADER] = command
  message[NLMSG_HEADER + 1] = version
  payload.copy(message, NLMSG_HEADER + GENL_HEADER)
  return message
}

/** The messages of an answer. Throws LinuxError when its acknowledgement is an error. */
export function readAnswer(answer: Buffer): { command: number; attributes: ParsedAttribute[] }[] {
  const messages: { command: number; attributes: ParsedAttribute[] }[] = []
  for (let at = 0; at + NLMSG_HEADER <= answer.length; ) {
    const length = answer.readUInt32LE(at)
    if (length < NLMSG_HEADER || at + length > answer.length) break
    const type = answer.readUInt16LE(at + 4)
    const body = answer.subarray(at + NLMSG_HEADER, at + length)
    if (type === NLMSG_ERROR) throwIfError(body, answer.readUInt16LE(at + 6))
    else if (type !== NLMSG_DONE && body.length >= GENL_HEADER) {
      messages.push({ command: body[0]!, attributes: parseAttributes(body.subarray(GENL_HEADER)) })
    }
    at += (length + 3) & ~3
  }
  return messages
}

function throwIfError(body: Buffer, flags: number): void {
  const errno = body.length >= 4 ? -body.readInt32LE(0) : 71
  if (errno === 0) return
  const words = (flags & NLM_F_ACK_TLVS) === 0 ? undefined : extendedReason(body, flags)
  throw new LinuxError('netlink', errno, words === undefined ? {} : { reason: words })
}

/** NLMSGERR_ATTR_MSG, behind the request's header or, where that is not capped, behind the request. */
function extendedReason(body: Buffer, flags: number): string | undefined {
  if (body.length < 4 + NLMSG_HEADER) return undefined
  const echoed = (flags & NLM_F_CAPPED) === 0 ? (body.readUInt32LE(4) + 3) & ~3 : NLMSG_HEADER
  const reason = parseAttributes(body.subarray(4 + echoed)).find(({ type }) => type === NLMSGERR_ATTR_MSG)
  return reason?.value.toString('utf8').replace(/\0+$/, '')
}
