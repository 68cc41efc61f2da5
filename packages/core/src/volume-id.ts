/**
 * Identity of a volume: what makes two paths lead to the same one. `naa.` and `eui.` with lower-case
 * hex digits, `uuid.` with a lower-case RFC 9562 UUID, `t10.` or `serial.` with printable text.
 */
export type VolumeId = `${'naa' | 'eui' | 'uuid' | 't10' | 'serial'}.${string}`

const forms: readonly RegExp[] = [
  /^naa\.([0-9a-f]{16}|[0-9a-f]{32})$/,
  /^eui\.([0-9a-f]{16}|[0-9a-f]{24}|[0-9a-f]{32})$/,
  /^uuid\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
  /^(t10|serial)\.[\x21-\x7e]([\x20-\x7e]{0,222}[\x21-\x7e])?$/,
]

/** Whether `text` is a volume identity in its one canonical spelling. */
export function isVolumeId(text: string): text is VolumeId {
  return forms.some((form) => form.test(text))
}
