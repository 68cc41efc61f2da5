import { inspect } from 'node:util'

const secretName = /secret|passw|passphrase|token|psk|credential|^chap$|^key$/i

/** Whether a field of this name holds what must not be printed. */
export function isSecret(name: string): boolean {
  return secretName.test(name)
}

// Keys of NVMe, wherever they stand: under the names of hosts, say (NVMe Base 2.1 §8.3.5.5.7, NVMe/TCP Transport 1.1 §3.6.1).
const secretForm = /^(DHHC-1|NVMeTLSkey-1):/

/** Takes secrets out of texts. */
export interface Hider {
  /** The text with `(hidden)` in place of each secret. */
  hide(text: string): string
  /** As the cause of another error: undefined where a secret can be read in it or in its stack. */
  cause(error: unknown): unknown
}

/** Makes a {@link Hider} for every secret that stands somewhere in `options`. */
export function hiderOf(options: unknown): Hider {
  const secrets = new Set<string>()
  collect(options, secrets, new Set())
  // As they are, and as other texts quote them; those that hold others first.
  const forms = [...secrets].flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encode(secret)])
  forms.sort((a, b) => b.length - a.length)
  const hide = (text: string): string => forms.reduce((told, form) => told.replaceAll(form, '(hidden)'), text)
  return {
    hide,
    cause(error) {
      const text = inspect(error, { depth: 10 })
      return hide(text) === text ? error : undefined
    },
  }
}

function collect(value: unknown, secrets: Set<string>, seen: Set<object>): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return
  seen.add(value)
  for (const [name, item] of Object.entries(value)) {
    if (typeof item === 'string' && item !== '' && (isSecret(name) || secretForm.test(item))) secrets.add(item)
    else collect(item, secrets, seen)
  }
}

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}
