import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'

const PREFIX = 'iqn.2026-11.io.blockbraid:'
/** What this program alone uses: a machine's id must not be told itself (machine-id(5)). */
const PURPOSE = 'io.blockbraid iSCSI initiator name'
const FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id']

/**
 * The iSCSI name of this host where none is given: made of its machine id, so that no other host has it and a restart or
 * another host name does not change it. Undefined where there is no machine id, as in many containers.
 */
export function machineInitiator(read: (file: string) => string = readText): string | undefined {
  const id = FILES.map((file) => read(file).trim()).find((text) => /^[0-9a-f]{32}$/.test(text) && /[^0]/.test(text))
  if (id === undefined) return undefined
  const hash = createHmac('sha256', Buffer.from(id, 'hex')).update(PURPOSE).digest('hex')
  return `${PREFIX}${hash.slice(0, 16)}`
}

/** An iSCSI name that ends with this text, as far as names can have it. */
export function initiatorOf(text: string): string {
  const plain = text.toLowerCase().replace(/[^a-z0-9.-]/g, '-')
  return `${PREFIX}${plain === '' ? 'host' : plain}`
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
