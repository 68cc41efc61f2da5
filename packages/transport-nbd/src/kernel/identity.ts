/** What a node is for: the name of its pair and the identity of its volume. */
export interface Identity {
  readonly name: string
  readonly volume: string
}

const PREFIX = 'blockbraid/'
const NAME = /^[\x21-\x3f\x41-\x7e]{1,255}$/
const VOLUME = /^[\x20-\x7e]{0,1024}$/

/** The text that the kernel keeps for a node, its backend identifier. Throws TypeErrors for what it could not tell apart. */
export function backendOf({ name, volume }: Identity): string {
  if (!NAME.test(name)) {
    throw new TypeError(`nbd: name is ${JSON.stringify(name)}; it must be 1 to 255 ASCII characters but spaces and @`)
  }
  if (!VOLUME.test(volume)) {
    throw new TypeError(`nbd: volume is ${JSON.stringify(volume)}; it must be at most 1024 printable ASCII characters`)
  }
  return `${PREFIX}${name}@${volume}`
}

/** The reverse of {@link backendOf}; undefined for nodes of others. */
export function identityOf(backend: string): Identity | undefined {
  const at = backend.indexOf('@')
  if (!backend.startsWith(PREFIX) || at < 0) return undefined
  return { name: backend.slice(PREFIX.length, at), volume: backend.slice(at + 1) }
}
