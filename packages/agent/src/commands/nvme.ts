import { BlockError } from '@blockbraid/core'
import { pathOf } from '../control/path-ids.ts'
import type { NvmeWords } from '../nvme/request.ts'
import { needsNamespace, parseRequest } from '../nvme/requests.ts'
import { describeAnswer, succeeded } from '../nvme/status.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { UsageError } from '../terminal/terminal.ts'
import { parseHex, toHex } from '../text/hex.ts'
import { ask } from './ask.ts'
import type { ByHandOptions } from './by-hand.ts'
import { byHand } from './by-hand.ts'

/** Options of `blockbraid nvme`. */
export interface NvmeCommandOptions extends ByHandOptions, NvmeWords {
  nsid?: string
}

/** `blockbraid nvme PAIR REQUEST...`: prints what an NVMe command was answered; fails where the command did. */
export async function nvme(
  terminal: Terminal,
  options: NvmeCommandOptions,
  pair: string,
  words: readonly string[],
): Promise<void> {
  const nsid = needsNamespace(words) ? await namespaceOf(terminal, options, pair) : 0
  await byHand(terminal, options, pair, parseRequest(words, options, nsid), {
    foreign: /^iscsi:/,
    async send(name, path, { command, data }) {
      const {
        admin,
        opcode,
        nsid: namespace = 0,
        cdw10 = 0,
        cdw11 = 0,
        cdw12 = 0,
        cdw13 = 0,
        cdw14 = 0,
        cdw15 = 0,
      } = command
      const answer = await ask(terminal, options, {
        op: 'nvme',
        pair: name,
        queue: admin ? 'admin' : 'io',
        opcode: String(opcode),
        nsid: String(namespace),
        dwords: [cdw10, cdw11, cdw12, cdw13, cdw14, cdw15].map((dword) => dword >>> 0).join(' '),
        ...(typeof data === 'number' ? { in: String(data) } : { out: toHex(data) }),
        ...(path === undefined ? {} : { path }),
      })
      return { ...answer, data: parseHex('data', answer.data) }
    },
    succeeded,
    describe: describeAnswer,
    fields: ({ status, result, data }) => ({ status, result, data }),
  })
}

/** The namespace of the paths that a request may take, which have to have one number. */
async function namespaceOf(terminal: Terminal, options: NvmeCommandOptions, pair: string): Promise<number> {
  if (options.nsid !== undefined) {
    const nsid = /^\d{1,10}$/.test(options.nsid) ? Number(options.nsid) : 0
    if (nsid >= 1 && nsid <= 0xffff_ffff) return nsid
    throw new UsageError(`--nsid is "${options.nsid}": it must be a number, 1 or more`)
  }
  const { pairs } = await ask(terminal, options, { op: 'ls' })
  const found = pairs.find(({ name }) => name === pair)
  // The agent says best which pairs there are.
  if (found === undefined) return 1
  const meant = options.path === undefined ? undefined : pathOf({ id: pair, paths: found.paths }, options.path)
  const ids = found.paths.filter(({ id }) => meant === undefined || id === meant).map(({ id }) => id)
  const nsids = new Set(ids.flatMap((id) => /^nvme-tcp:.*\/ns(\d+)$/.exec(id)?.[1] ?? []))
  const [nsid, ...more] = nsids
  if (nsid === undefined)
    throw new BlockError('NOT_SUPPORTED', `no path of ${pair} tells its namespace: name it with --nsid`)
  if (more.length === 0) return Number(nsid)
  const all = [...nsids].join(' and ')
  throw new BlockError(
    'NOT_SUPPORTED',
    `paths of ${pair} lead to the namespaces ${all} of their subsystems: choose with --path`,
  )
}
