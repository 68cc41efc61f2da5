/** What a key asks `top` for. */
export type Key =
  | 'up'
  | 'down'
  | 'pageUp'
  | 'pageDown'
  | 'first'
  | 'last'
  | 'name'
  | 'iops'
  | 'rate'
  | 'latency'
  | 'errors'
  | 'reverse'
  | 'paths'
  | 'suspend'
  | 'quit'

const keys: Readonly<Record<string, Key>> = {
  k: 'up',
  j: 'down',
  b: 'pageUp',
  ' ': 'pageDown',
  g: 'first',
  G: 'last',
  n: 'name',
  i: 'iops',
  m: 'rate',
  l: 'latency',
  e: 'errors',
  r: 'reverse',
  p: 'paths',
  q: 'quit',
  // In raw mode Ctrl-C and Ctrl-Z are keys as others are.
  '\x03': 'quit',
  '\x1a': 'suspend',
  '\x02': 'pageUp',
  '\x06': 'pageDown',
}

// What terminals send after ESC [ or ESC O.
const sequences: Readonly<Record<string, Key>> = {
  A: 'up',
  B: 'down',
  H: 'first',
  F: 'last',
  '1~': 'first',
  '4~': 'last',
  '5~': 'pageUp',
  '6~': 'pageDown',
}

/** The keys in what a terminal has sent at once; others are left out. */
export function keysOf(text: string): Key[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return [...text.matchAll(/\x1b[[O]([0-9;]*[A-Za-z~])|\x1b|[\s\S]/g)].flatMap(([whole, sequence]) => {
    const key = sequence === undefined ? keys[whole] : sequences[sequence]
    return key === undefined ? [] : [key]
  })
}
