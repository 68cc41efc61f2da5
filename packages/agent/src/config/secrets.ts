const secretName = /secret|password|passphrase|token|psk|credential|^key$/i

/** Whether a field of this name holds what must not be printed. */
export function isSecret(name: string): boolean {
  return secretName.test(name)
}

/** Takes the secrets that stand in `options` out of a text. */
export function hideSecrets(text: string, options: unknown): string {
  if (typeof options !== 'object' || options === null) return text
  let hidden = text
  for (const [name, value] of Object.entries(options)) {
    if (typeof value === 'string' && value !== '' && isSecret(name)) hidden = hidden.replaceAll(value, '(hidden)')
    else if (Array.isArray(value) || Object.getPrototypeOf(value ?? 0) === Object.prototype)
      hidden = hideSecrets(hidden, value)
  }
  return hidden
}
