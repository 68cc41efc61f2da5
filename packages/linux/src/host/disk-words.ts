/** A disk as its array tells of it, for people. */
export interface DiskWords {
  /** Identity of the volume, such as `naa.6001405…`; an empty text where it is not known. */
  readonly volume: string
  /** Vendor and model. */
  readonly product?: string | undefined
  /** Serial number; without it, that of the identity stands for it. */
  readonly serial?: string | undefined
}

/** Characters; arrays tell 252 at most. */
const LONGEST = 252

/** Model, serial number and world wide name as udev writes such texts, each only where there is one. */
export function diskFields({ volume, product = '', serial = '' }: DiskWords): Map<string, string> {
  const [, kind = '', text = ''] = /^([a-z0-9]+)\.(.*)$/s.exec(volume) ?? []
  const isWide = (kind === 'naa' || kind === 'eui') && /^[0-9a-f]+$/.test(text)
  const fields = {
    BLOCKBRAID_MODEL: plain(product),
    BLOCKBRAID_SERIAL: plain(serial) || plain(text),
    BLOCKBRAID_WWN: isWide ? `0x${text}` : '',
  }
  return new Map(Object.entries(fields).filter(([, value]) => value !== ''))
}

/** An array may tell anything: what is left is one word that is nothing special to a shell, a path or a rule. */
function plain(text: string): string {
  return text
    .trim()
    .slice(0, LONGEST)
    .replaceAll(/[^\w#+.:=@-]+/g, '_')
}
