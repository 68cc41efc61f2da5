import { printable, shorten } from './table.ts'

/** A name and a value a line, the values below each other, `width` characters wide. */
export function facts(rows: readonly (readonly [name: string, value: string])[], width: number): string[] {
  const left = Math.max(...rows.map(([name]) => name.length)) + 2
  return rows.flatMap(([name, value]) =>
    wrap(printable(value), Math.max(16, width - left)).map((line, index) =>
      `${(index === 0 ? name : '').padEnd(left)}${line}`.trimEnd(),
    ),
  )
}

/** Cuts a text into lines between its words; a word that is too long loses its middle. */
export function wrap(text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1]!
    const longer = line === '' ? word : `${line} ${word}`
    if (longer.length <= width) lines[lines.length - 1] = longer
    else if (line === '') lines[lines.length - 1] = shorten(word, width)
    else lines.push(shorten(word, width))
  }
  return lines
}

/** Bytes as hex digits and as text, 16 a line: 75 characters. */
export function dump(bytes: Uint8Array): string[] {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16)
    const digits = Array.from(row, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = Array.from(row, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`${at.toString(16).padStart(6, '0')}  ${digits.padEnd(47)}  ${text}`.trimEnd())
  }
  return lines
}

/** A text in lines of `width` characters, of which all but the first stand in; a word that is too long stays whole. */
export function fold(text: string, width: number): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = `  ${word}`
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].join('\n')
}
