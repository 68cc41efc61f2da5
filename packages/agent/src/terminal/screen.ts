import { writeSync } from 'node:fs'
import type { ReadStream, WriteStream } from 'node:tty'

/** A terminal that is drawn on and sends keys, until it is closed. */
export interface Screen {
  readonly size: { readonly columns: number; readonly rows: number }
  /** Shows lines, from the top on. */
  draw(lines: readonly string[]): void
  /** Gives the terminal to the shell; all is drawn anew when that gives it back. */
  suspend(): void
  /** Gives the terminal back as it was. */
  close(): void
}

/** What a screen tells. */
export interface ScreenEvents {
  /** Keys were pressed. */
  input(text: string): void
  /** It has another size, or nothing on it any more. */
  resized(): void
}

// The other screen, so that what stood there before comes back; no cursor.
const ENTER = '\x1b[?1049h\x1b[?25l'
const LEAVE = '\x1b[?25h\x1b[?1049l'

/** Takes a terminal over: its keys come at once and are not shown. It is given back on every end of the process. */
export function openScreen(
  input: ReadStream,
  output: WriteStream & { readonly fd: number },
  events: ScreenEvents,
): Screen {
  let drawn: readonly string[] = []
  let open = false
  const onInput = (chunk: Buffer | string): void => events.input(String(chunk))
  const onResize = (): void => {
    drawn = []
    events.resized()
  }
  const enter = (): void => {
    open = true
    input.setRawMode(true)
    input.resume()
    output.write(ENTER)
    onResize()
  }
  const leave = (): void => {
    if (!open) return
    open = false
    // At the end of the process nothing is written any more that waits.
    writeSync(output.fd, LEAVE)
    input.setRawMode(false)
    input.pause()
  }
  input.on('data', onInput)
  output.on('resize', onResize)
  process.on('exit', leave)
  process.on('SIGCONT', enter)
  enter()
  return {
    get size() {
      return { columns: output.columns || 80, rows: output.rows || 24 }
    },
    draw(lines) {
      // A slow terminal gets fewer pictures.
      if (!open || output.writableNeedDrain) return
      const changed = lines.flatMap((line, index) =>
        line === drawn[index] ? [] : [`\x1b[${index + 1};1H${line.trimEnd()}\x1b[K`],
      )
      const clear = drawn.length === 0 ? '\x1b[2J' : ''
      drawn = [...lines]
      if (changed.length > 0) output.write(clear + changed.join(''))
    },
    suspend() {
      leave()
      process.kill(process.pid, 'SIGTSTP')
    },
    close() {
      leave()
      input.off('data', onInput)
      output.off('resize', onResize)
      process.off('exit', leave)
      process.off('SIGCONT', enter)
    },
  }
}
