import { get32le, Lane, Lanes } from '@blockbraid/wire'
import { FABRICS } from '../nvme/opcode.ts'
import type { Command } from './command.ts'

/** Shares the entries of a queue between namespaces. */
export class NamespaceLanes extends Lanes<Command> {
  /** Of the commands of no namespace. */
  readonly common = new Lane<Command>()
  readonly #lanes = new Map<number, Lane<Command>>()

  constructor() {
    super(({ length }) => length)
  }

  /** The lane of a namespace. */
  of(nsid: number): Lane<Command> {
    const known = this.#lanes.get(nsid)
    if (known !== undefined) return known
    const made = new Lane<Command>()
    this.#lanes.set(nsid, made)
    return made
  }

  /** The lane that a submission queue entry belongs to. */
  ofEntry(sqe: Uint8Array): Lane<Command> {
    // Those of fabrics have no namespace, and another field in its place.
    return sqe[0] === FABRICS ? this.common : this.of(get32le(sqe, 4))
  }
}
