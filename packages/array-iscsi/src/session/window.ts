import { serialBefore } from '../pdu/serial.ts'

/** Which commands a session takes, and in which order they have their turn (RFC 7143 §4.2.2.1). */
export class CommandWindow {
  /** Number of the next command in order. */
  expCmdSn: number
  /** Number of the last command that would be taken. */
  maxCmdSn: number
  /** What came before its turn, by CmdSN. */
  readonly #early = new Map<number, () => void>()
  /** Commands that have ended while the window was closed. */
  #owed = 0
  #open = true

  constructor(width: number, first: number) {
    this.expCmdSn = first
    this.maxCmdSn = (first + width - 1) >>> 0
  }

  /** Whether a command of that number may come, now or after others. */
  takes(cmdSn: number): boolean {
    if (cmdSn === this.expCmdSn) return !serialBefore(this.maxCmdSn, cmdSn)
    if (serialBefore(cmdSn, this.expCmdSn) || serialBefore(this.maxCmdSn, cmdSn)) return false
    return !this.#early.has(cmdSn)
  }

  /** Takes the next number where it is this one; then the turn is now, and {@link resume} comes after it. */
  advance(cmdSn: number): boolean {
    if (cmdSn !== this.expCmdSn) return false
    this.expCmdSn = (this.expCmdSn + 1) >>> 0
    return true
  }

  /** Keeps a turn that is not yet due. */
  keep(cmdSn: number, turn: () => void): void {
    this.#early.set(cmdSn, turn)
  }

  /** Runs the turns that are due now. */
  resume(): void {
    while (this.#early.size > 0) {
      const { expCmdSn } = this
      const turn = this.#early.get(expCmdSn)
      if (turn === undefined) return
      this.#early.delete(expCmdSn)
      this.advance(expCmdSn)
      turn()
    }
  }

  /** Runs `turn` when its number is due; a number that is not taken is ignored. */
  inOrder(cmdSn: number, turn: () => void): void {
    if (!this.takes(cmdSn)) return
    if (!this.advance(cmdSn)) return this.keep(cmdSn, turn)
    turn()
    this.resume()
  }

  /** A command that had not had its turn is no more; its number counts as used. */
  skip(cmdSn: number): void {
    this.#early.delete(cmdSn)
    this.inOrder(cmdSn, () => {})
  }

  /** Forgets what waits for its turn. */
  clear(): void {
    this.#early.clear()
  }

  /** A numbered command has ended. */
  ended(): void {
    if (this.#open) this.maxCmdSn = (this.maxCmdSn + 1) >>> 0
    else this.#owed++
  }

  /** Closed, the window lets in what it has promised and then nothing. */
  setOpen(open: boolean): void {
    this.#open = open
    if (!open) return
    this.maxCmdSn = (this.maxCmdSn + this.#owed) >>> 0
    this.#owed = 0
  }
}
