import { wrongOption } from '@blockbraid/wire'

export function iscsiName(field: string, value: unknown): string {
  if (typeof value === 'string' && /^(iqn|eui|naa)\.[^\s/]{1,219}$/.test(value)) return value
  throw wrongOption(field, value, 'an iSCSI name such as iqn.2026-11.io.example:array')
}
