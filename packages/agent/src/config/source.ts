import type { Document, Node } from 'yaml'
import { isMap, isScalar, LineCounter, parseDocument, visit } from 'yaml'
import { placeholders } from './placeholders.ts'

/** A mistake in a config file. The message begins with `file:line:column`. */
export class ConfigError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ConfigError'
  }
}

/** A key or an index on the way to a value. */
export type Step = string | number

/** A parsed config file that still knows where everything stands. */
export interface Source {
  /** The value, with variables put in. */
  readonly value: unknown
  /** `file:line:column` of a value, or of the nearest thing around it that is there. */
  locate(path: readonly Step[]): string
  /** `file:line:column` of a key. */
  locateKey(path: readonly Step[], key: string): string
  /** A scalar as the file spells it: with its variable, not with what the variable holds. */
  spelling(path: readonly Step[]): string | undefined
  /** Whether a scalar holds a variable. */
  isVariable(path: readonly Step[]): boolean
}

// A plain YAML scalar inside [] or {} cannot hold braces, yet `${NAME}` and `{name}` shall need no quotes
// there. Their braces are exchanged for two noncharacters before parsing and put back after, one for
// one, so that positions stay.
const OPEN = '\ufdd0'
const CLOSE = '\ufdd1'
const braced = /(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}/g
const known = new Set<string>(placeholders)

function hideBraces(text: string): string {
  return text.replace(braced, (whole, dollar: string, name: string) =>
    dollar || known.has(name) ? `${dollar}${OPEN}${name}${CLOSE}` : whole,
  )
}

function showBraces(text: string): string {
  return text.replaceAll(OPEN, '{').replaceAll(CLOSE, '}')
}

/** Parses YAML 1.2 and puts the variables of `env` in for `${NAME}`. Throws a {@link ConfigError}. */
export function parseSource(text: string, file: string, env: Readonly<Record<string, string | undefined>>): Source {
  const lines = new LineCounter()
  const document = parseDocument(hideBraces(text), { lineCounter: lines, prettyErrors: false })
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`
  }
  const mistake = document.errors[0]
  if (mistake) throw new ConfigError(`${at(mistake.pos[0])}: not valid YAML: ${showBraces(mistake.message)}`)

  const spellings = new Map<unknown, string>()
  visit(document, {
    Scalar(key, node) {
      if (typeof node.value !== 'string') return
      const original = showBraces(node.value)
      node.value = original
      if (key === 'key') return
      node.value = original.replace(/\$\{([^}]*)\}?/g, (whole, name: string) => {
        const where = at(node.range?.[0] ?? 0)
        if (!/^\$\{[A-Za-z_][A-Za-z0-9_]*\}$/.test(whole))
          throw new ConfigError(`${where}: "${whole}" is not a variable: write it as \${NAME}`)
        const value = env[name]
        if (value === undefined) throw new ConfigError(`${where}: the environment has no variable ${name}: set it`)
        spellings.set(node, original)
        return value
      })
    },
  })

  const nodeAt = (path: readonly Step[]): Node | null => document.getIn(path, true) as Node | null
  const locate = (path: readonly Step[]): string => {
    for (let length = path.length; length > 0; length--) {
      const range = nodeAt(path.slice(0, length))?.range
      if (range) return at(range[0])
    }
    return at(document.contents?.range?.[0] ?? 0)
  }
  return {
    value: toValue(document, at),
    locate,
    locateKey(path, key) {
      const parent = path.length === 0 ? document.contents : nodeAt(path)
      if (isMap(parent)) {
        const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === key)
        const range = isScalar(pair?.key) ? pair.key.range : undefined
        if (range) return at(range[0])
      }
      return locate(path)
    },
    spelling(path) {
      const node = nodeAt(path)
      if (!isScalar(node)) return undefined
      return spellings.get(node) ?? (typeof node.value === 'string' ? `"${node.value}"` : String(node.value))
    },
    isVariable: (path) => spellings.has(nodeAt(path)),
  }
}

function toValue(document: Document, at: (offset: number) => string): unknown {
  try {
    return document.toJS()
  } catch (error) {
    throw new ConfigError(`${at(0)}: not valid YAML: ${(error as Error).message}`, { cause: error })
  }
}
