const NEWLINE = 10

/**
 * Cuts a byte stream into lines of UTF-8. `push` returns false, for good, once a line is longer than
 * `limit` bytes.
 */
export function createLines(limit: number, onLine: (line: string) => void): { push(chunk: Uint8Array): boolean } {
  let parts: Uint8Array[] = []
  let length = 0
  let poisoned = false
  return {
    push(chunk) {
      let start = 0
      while (!poisoned) {
        const end = chunk.indexOf(NEWLINE, start)
        const part = chunk.subarray(start, end < 0 ? chunk.length : end)
        length += part.length
        if (length > limit) {
          poisoned = true
          parts = []
          break
        }
        if (part.length > 0) parts.push(part)
        if (end < 0) break
        const line = Buffer.concat(parts).toString('utf8')
        parts = []
        length = 0
        start = end + 1
        onLine(line)
      }
      return !poisoned
    },
  }
}
