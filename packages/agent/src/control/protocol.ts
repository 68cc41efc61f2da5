/**
 * The control protocol: lines of JSON over a unix socket, requests one way, for each a reply the other
 * way, in order. The field `blockbraid` holds the version; an agent refuses the ones it does not know.
 */
export const PROTOCOL_VERSION = 1

/** Bytes; an agent closes a connection whose request is longer. */
export const MAX_REQUEST = 64 * 1024

/** Bytes; a client gives up on a longer reply. */
export const MAX_REPLY = 64 * 1024 * 1024

/** What can be asked, and with which texts; one that ends in ? may be left out. */
export const operations = {
  /** Answers with the agent's `pid`. */
  hello: [],
  /** Answers with a Listing. */
  ls: [],
  /** Answers with Stats. */
  stats: [],
  /** Answers with a WhyListing. */
  why: ['pair'],
  /**
   * Answers with a TraceBegun; behind that line come the bytes of a trace, until the client says anything or closes, or the
   * pair is closed.
   */
  trace: ['pair'],
  /** Answers with a RescanResult. */
  rescan: [],
  /**
   * Exchanges the policy of a pair for the plugin `use`, with `options` as JSON. Answers with a `fault` where the policy
   * can pick no path.
   */
  policy: ['pair', 'use', 'options?'],
  /**
   * Holds a pair to `rates`, a JSON object of the fields of core's Rates: what it does not name stays, null lifts. Without
   * them, or with none, only answers: with a LimitResult.
   */
  limit: ['pair', 'rates?'],
  /** Takes a path out, named by its id or a part that no other one has; answers with its id when it is fenced. */
  'path-fail': ['pair', 'path'],
  /** Lets a path connect again, named the same way; answers with its id. */
  'path-restore': ['pair', 'path'],
  /** Has I/O go to the best group of paths now; answers with the ids of the `paths` that had waited for that. */
  'fail-back': ['pair'],
  /** Takes down what guards ranges of a pair; answers with ReleasedGuards. */
  'release-guards': ['pair'],
  /**
   * Ends a pair; answers with whether it was `stalled`, so that waiting I/O failed, and with what may be lost, as `loss`.
   * With `mode` force a kernel node goes though it is in use.
   */
  down: ['pair', 'mode?'],
  /** Makes a pair again that was taken down, lost, or could not be made; answers with its `node`. */
  pair: ['pair'],
  /** Leaves every kernel node for the next agent and ends the process; answers with a HandOverResult. */
  'hand-over': [],
  /**
   * Sends a SCSI command: `cdb` and `out`, what to send, in hex digits; `in`: how many bytes to receive;
   * `path`: through that path alone. Answers with a ScsiResult.
   */
  scsi: ['pair', 'cdb', 'in?', 'out?', 'path?'],
  /**
   * Sends an NVMe command: `queue` admin or io; `opcode`, `nsid` and `dwords`, those from 10 on with blanks between
   * them, as decimal numbers; `out`, what to send, in hex digits; `in`: how many bytes to receive; `path`: through that
   * path alone. Answers with an NvmeResult.
   */
  nvme: ['pair', 'queue', 'opcode', 'nsid?', 'dwords?', 'in?', 'out?', 'path?'],
  /**
   * Compares what is read through each path of the `devices`: pairs, volumes and paths, one a line. With `write`, the
   * byte offset of a block, writes there for a moment. Answers with a Proof and the `paths`.
   */
  prove: ['devices', 'write?'],
} as const satisfies Record<string, readonly string[]>

/** Name of an operation. */
export type Operation = keyof typeof operations

/** Texts that go with an operation. */
export type Arguments<Name extends Operation> = {
  readonly [Key in Exclude<(typeof operations)[Name][number], `${string}?`>]: string
} & {
  readonly [Key in (typeof operations)[Name][number] as Key extends `${infer Plain}?` ? Plain : never]?: string
}

/** A request of an operation; of any, where none is named. */
export type Request<Name extends Operation = Operation> = {
  readonly [Each in Name]: {
    /** What to do. */
    readonly op: Each
  } & Arguments<Each>
}[Name]

/** A reply: what was asked for, or why not. */
export type Reply =
  | { readonly blockbraid: number; readonly ok: true; readonly result: unknown }
  | { readonly blockbraid: number; readonly ok: false; readonly error: string }

/** A request of whatever listens: its operation, and texts. */
export interface AnyRequest {
  readonly op: string
  readonly [field: string]: string | undefined
}

/** A line for a request. */
export function encodeRequest(request: AnyRequest): string {
  return `${JSON.stringify({ blockbraid: PROTOCOL_VERSION, ...request })}\n`
}

/** What can be asked of a server, and with which texts. */
export type OperationTable = Readonly<Record<string, readonly string[]>>

/** A request of one of the operations `known` from a line, or a text that says what is wrong with it. */
export function decodeRequest(line: string, known: OperationTable = operations): Request | string {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return 'the request is not JSON'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'the request is not a JSON object'
  const fields = value as Record<string, unknown>
  if (fields['blockbraid'] !== PROTOCOL_VERSION)
    return `this agent speaks version ${PROTOCOL_VERSION} of the control protocol: the request's field blockbraid differs`
  const op = fields['op']
  if (typeof op !== 'string' || !Object.hasOwn(known, op)) return 'the request has no known op'
  const request: Record<string, string> = { op }
  for (const field of known[op] as readonly string[]) {
    const name = field.replace('?', '')
    const text = fields[name]
    if (text === undefined && field !== name) continue
    if (typeof text !== 'string' || text === '') return `${op}: ${name} must be a text that is not empty`
    request[name] = text
  }
  return request as unknown as Request
}

/** A line for a result. */
export function encodeResult(result: unknown): string {
  return `${JSON.stringify({ blockbraid: PROTOCOL_VERSION, ok: true, result } satisfies Reply)}\n`
}

/** A line for an error. */
export function encodeError(error: string): string {
  return `${JSON.stringify({ blockbraid: PROTOCOL_VERSION, ok: false, error } satisfies Reply)}\n`
}

/** The result in a reply. Throws an Error with the agent's words, or one that says that the line makes no sense. */
export function decodeReply(line: string): unknown {
  let reply: Partial<Reply> & { error?: unknown }
  try {
    reply = JSON.parse(line) as Partial<Reply>
  } catch {
    throw new Error('the answer is not JSON')
  }
  if (reply?.blockbraid !== PROTOCOL_VERSION) throw new Error('the answer is not of this version of blockbraid')
  if (reply.ok !== true) throw new Error(String(reply.error ?? 'the agent refused'))
  return (reply as { result: unknown }).result
}
