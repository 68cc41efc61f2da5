import type { NvmeAnswer, NvmeRequest } from '@blockbraid/target-nvmeof'
import type { Decoded, HandRequest } from '../by-hand/request.ts'
import { refuseRest as refuse } from '../by-hand/request.ts'

/** What `blockbraid nvme PAIR ...` was asked for. A registration is that of a host, whatever the path: none is for each. */
export type NvmeHandRequest = HandRequest<NvmeRequest, NvmeAnswer>

/** Options of the command line that some requests take. */
export interface NvmeWords {
  readonly in?: string
  readonly out?: string
  readonly key?: string
  readonly type?: string
  readonly victim?: string
}

const known = ['in', 'out', 'key', 'type', 'victim'] as const

/** Throws a UsageError for words and options that a request does not take. */
export function refuseRest(
  form: string,
  words: readonly string[],
  options: NvmeWords,
  taken: readonly (keyof NvmeWords)[] = [],
): void {
  refuse(form, words, options, known, taken)
}

/** A request of one command, whose answer is told by `decode`. */
export function single<Value>(
  name: string,
  request: NvmeRequest,
  decode: (answer: NvmeAnswer) => Value,
  lines: (value: Value, width: number) => readonly string[],
): NvmeHandRequest {
  return {
    name,
    everyPath: false,
    run: (send) => send(request),
    decode(answer): Decoded {
      const value = decode(answer)
      return { value, lines: (width) => lines(value, width) }
    },
  }
}

/** A request of a command that gives nothing but its status. */
export function silent(name: string, request: NvmeRequest): NvmeHandRequest {
  return { name, everyPath: false, run: (send) => send(request), decode: () => undefined }
}
