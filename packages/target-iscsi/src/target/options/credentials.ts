import { flagOption, textOption, wrongOption } from '@blockbraid/wire'
import type { ChapAlgorithm, ChapOptions } from '../../login/chap.ts'

/** Names and secrets for CHAP (RFC 7143 §12.1). */
export interface ChapCredentials {
  /** The name that we show the target. */
  user: string
  /** The secret that goes with it. */
  secret: string
  /**
   * What we accept, in order of preference. Left out: sha3-256, sha256, sha1, and MD5 where the target takes none of
   * those, which a note of discovery says.
   */
  algorithms?: readonly ChapAlgorithm[]
  /** Use secrets below 12 bytes, which can be guessed from what goes over the wire. @defaultValue false */
  allowShort?: boolean
  /** Mutual CHAP: the target must show that it knows this secret, under this name where one is given. */
  target?: {
    /** The name that the target must show us. Left out: any. */
    user?: string
    /** The secret that the target must know; it differs from ours. */
    secret: string
  }
}

const ALGORITHMS: readonly ChapAlgorithm[] = ['sha3-256', 'sha256', 'sha1', 'md5']
// Where the options name none.
const USUAL = { algorithms: ['sha3-256', 'sha256', 'sha1'], reserve: ['md5'] } as const
// RFC 7143 §9.2.1: 96 bits.
const LEAST_SECRET = 12

/** Checks credentials and fills the defaults in; throws a TypeError that names the field, never a secret. */
export function chapOf(field: string, value: ChapCredentials): ChapOptions {
  if (typeof value !== 'object' || value === null) throw new TypeError(`options.${field} must have user and secret`)
  for (const name of Object.keys(value)) {
    if (!['user', 'secret', 'algorithms', 'target', 'allowShort'].includes(name)) {
      throw new TypeError(`options.${field}.${name} is unknown`)
    }
  }
  const { user, secret: ours, algorithms, target } = value
  const isList = Array.isArray(algorithms) && algorithms.length > 0
  if (algorithms !== undefined && !(isList && algorithms.every((one) => ALGORITHMS.includes(one)))) {
    throw wrongOption(`${field}.algorithms`, algorithms, `a list of ${ALGORITHMS.join(', ')}`)
  }
  const allowShort = flagOption(`${field}.allowShort`, value.allowShort ?? false)
  const chap = {
    user: textOption(`${field}.user`, user),
    secret: secret(`${field}.secret`, ours),
    ...(algorithms === undefined ? USUAL : { algorithms }),
    fault: allowShort
      ? undefined
      : shortOf(field, [['secret', ours] as const, ['target.secret', target?.secret] as const]),
  }
  if (target === undefined) return chap
  if (typeof target !== 'object' || target === null) throw new TypeError(`options.${field}.target must have a secret`)
  const theirs = secret(`${field}.target.secret`, target.secret)
  if (theirs === ours) throw new TypeError(`options.${field}.target.secret must differ from options.${field}.secret`)
  return {
    ...chap,
    target: {
      secret: theirs,
      ...(target.user === undefined ? {} : { user: textOption(`${field}.target.user`, target.user) }),
    },
  }
}

/** Told when the secret would be used: an address may be taken apart whatever is in it. */
function shortOf(field: string, secrets: readonly (readonly [name: string, value: unknown])[]): string | undefined {
  for (const [name, value] of secrets) {
    if (typeof value !== 'string' || Buffer.byteLength(value) >= LEAST_SECRET) continue
    const has = `${field}.${name} has ${Buffer.byteLength(value)} bytes, and RFC 7143 §9.2.1 wants ${LEAST_SECRET} at least`
    return `${has}: choose a longer one at the target, or set ${field}.allowShort`
  }
  return undefined
}

function secret(field: string, value: unknown): string {
  if (typeof value === 'string' && value.length >= 1 && Buffer.byteLength(value) <= 255) return value
  throw new TypeError(`options.${field} must be a text of 1 to 255 bytes`)
}
