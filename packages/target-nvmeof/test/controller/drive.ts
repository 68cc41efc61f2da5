import { get16le, get32le, put32le } from '@blockbraid/wire'
import { AdminOpcode, FABRICS, FabricsType } from '../../src/nvme/opcode.ts'
import type { Completion, Procedure, Step, Submission } from '../../src/nvme/procedure.ts'
import { controllerBytes } from '../nvme/layouts.ts'

/** What a scripted controller answers a command with; left out fields are zero. */
export type Answer = Partial<Completion>

/** A command that a procedure sent. */
export interface Sent {
  readonly sqe: Uint8Array
  readonly opcode: number
  /** Its dword 10. */
  readonly dword: number
  readonly data: Uint8Array | number
}

/** A controller that does what is right, but for what a test replaces. */
export class ScriptedController {
  readonly sent: Sent[] = []
  /** Replaces the answer to a command, named as `name` does; `undefined`: the right one. */
  readonly replace: Record<string, (sent: Sent, controller: ScriptedController) => Answer | undefined> = {}
  identify = controllerBytes()
  cap: readonly [low: number, high: number] = [0x0f01_03ff, 0x20]
  status = 0
  connect = 0x1234
  keepAlive = 10_000
  /** Milliseconds that were paused. */
  paused = 0

  /** What it was sent, as names in their order. */
  get names(): string[] {
    return this.sent.map(nameOf)
  }

  answer({ sqe, data }: Submission): Completion {
    const sent = { sqe, data, opcode: sqe[0]!, dword: get32le(sqe, 40) }
    this.sent.push(sent)
    const answer = this.replace[nameOf(sent)]?.(sent, this) ?? this.#right(sent)
    const result = { status: 0, result: 0, resultHigh: 0, data: new Uint8Array(0), ...answer }
    const room = typeof data === 'number' ? data : 0
    return { ...result, data: result.data.subarray(0, room) }
  }

  #right(sent: Sent): Answer {
    const { sqe } = sent
    switch (nameOf(sent)) {
      case 'Connect':
        return { result: this.connect }
      case 'get CAP':
        return { result: this.cap[0], resultHigh: this.cap[1] }
      case 'get VS':
        return { result: 0x20100 }
      case 'get CSTS':
        return { result: this.status }
      case 'set CC': {
        const cc = get32le(sqe, 48)
        this.status = (cc & 1) | (((cc >>> 14) & 3) === 0 ? 0 : 8)
        return {}
      }
      case 'Identify 1':
        return { data: this.identify }
      case 'Get Features f':
        return { result: this.keepAlive }
      case 'Set Features 7':
        return { result: 0x0007_0007 }
      default:
        return {}
    }
  }
}

const PROPERTIES = new Map([
  [0x00, 'CAP'],
  [0x08, 'VS'],
  [0x14, 'CC'],
  [0x1c, 'CSTS'],
])

/** Such as `Connect`, `get CSTS`, `Identify 2`, `log c`, `Set Features 7`. */
function nameOf({ sqe, opcode, dword }: Sent): string {
  const number = (dword & 0xff).toString(16)
  if (opcode === FABRICS) {
    const type = sqe[4]!
    if (type === FabricsType.Connect) return 'Connect'
    const property = PROPERTIES.get(get32le(sqe, 44))
    return type === FabricsType.PropertyGet ? `get ${property}` : `set ${property}`
  }
  switch (opcode) {
    case AdminOpcode.Identify:
      return `Identify ${number}`
    case AdminOpcode.GetLogPage:
      return `log ${number}`
    case AdminOpcode.GetFeatures:
      return `Get Features ${number}`
    case AdminOpcode.SetFeatures:
      return `Set Features ${number}`
    case AdminOpcode.CrossControllerReset:
      return 'Cross-Controller Reset'
    default:
      return `opcode ${opcode.toString(16)}`
  }
}

/** Bytes of a log from the offset that a command asks for. */
export function logFrom(log: Uint8Array, { sqe }: Sent): Uint8Array {
  return log.subarray(get32le(sqe, 48) + get32le(sqe, 52) * 2 ** 32)
}

/** Whether a Get Log Page keeps its event. */
export function keepsEvent({ sqe }: Sent): boolean {
  return (get16le(sqe, 40) & 0x8000) !== 0
}

// A procedure that needs more steps than this does not end.
const MOST_STEPS = 20_000

/** Runs a procedure against a controller, in no time. */
export function drive<Result>(procedure: Procedure<Result>, controller: ScriptedController): Result {
  let step = procedure.next()
  for (let steps = 0; !step.done; steps++) {
    if (steps > MOST_STEPS) throw new Error(`no end after ${MOST_STEPS} steps`)
    step = procedure.next(take(step.value, controller))
  }
  return step.value
}

function take(step: Step, controller: ScriptedController): Completion | undefined {
  if ('sqe' in step) return controller.answer(step)
  if ('work' in step) throw new Error('a scripted controller does no work')
  controller.paused += step.pause
  return undefined
}

/** Identify Controller with a field of 4 bytes changed. */
export function withDword(at: number, value: number): Uint8Array {
  return controllerBytes((bytes) => put32le(bytes, at, value))
}
