import { Command, ReplyStyle } from '../protocol.ts'
import { hasPayload } from './commands.ts'
import type { RequestSink } from './request-parser.ts'
import { Payload, RequestParser } from './request-parser.ts'

/** Looks for DISC, and does nothing. */
class Scout implements RequestSink {
  found = false

  stalled(): boolean {
    return false
  }

  header({ command, flags }: RequestParser): Payload {
    if (command === Command.Disconnect) {
      this.found = true
      return Payload.Stop
    }
    return hasPayload(command, flags) ? Payload.Skip : Payload.None
  }

  payload(): void {}
  payloadEnd(): void {}
  broken(): void {}
}

/** Whether DISC is among requests that wait; the first begins at `start`, counted from the first chunk on. */
export function saysGoodbye(chunks: readonly Buffer[], start: number, style: ReplyStyle): boolean {
  const scout = new Scout()
  const parser = new RequestParser(scout, style === ReplyStyle.Extended, false)
  let at = start
  for (const chunk of chunks) {
    parser.parse(chunk, Math.min(at, chunk.length), chunk.length)
    at = Math.max(at - chunk.length, 0)
  }
  return scout.found
}
