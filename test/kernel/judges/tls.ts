// tlshd, which does the handshakes of TLS for the kernel, and the keyring that it finds keys in.
import { createHmac, hkdfSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../guest/wait.ts'
import { daemon, judge, openRoot, ROOT } from './root.ts'

let started: Promise<void> | undefined
let words = (): string => ''

/** Starts tlshd; to be done before anything of the kernel's speaks TLS. */
export function openTls(): Promise<void> {
  return (started ??= run())
}

/** Everything that tlshd has said. */
export function tlsWords(): string {
  return words()
}

async function run(): Promise<void> {
  await openRoot()
  writeFileSync(join(ROOT, 'etc/tlshd.conf'), '[debug]\nloglevel=1\ntls=0\nnl=0\n\n[authenticate]\nkeyrings=.nvme\n')
  const said = daemon('tlshd', ['--stderr'])
  words = () => said.words
  // Until it is there the kernel refuses each handshake.
  await until('tlshd hears of handshakes', hearsOfHandshakes)
}

/** Whether a generic netlink socket is a member of a group: nothing else in the machine has one. */
function hearsOfHandshakes(): boolean {
  const GENERIC = '16'
  const rows = readFileSync('/proc/net/netlink', 'utf8').split('\n').slice(1)
  return rows.some((row) => {
    const [, protocol, , groups] = row.split(/\s+/)
    return protocol === GENERIC && groups !== '00000000'
  })
}

/** A key as both sides of a pair have it (NVMe/TCP Transport 1.1 §3.6.1). */
export interface DerivedKey {
  readonly identity: string
  readonly hex: string
}

/** Derives what `psk`, a key of SHA-256 in the interchange format, is for a host and a subsystem. */
export function derivedKey(psk: string, host: string, subsystem: string, version: 0 | 1): DerivedKey {
  const configured = Buffer.from(psk.split(':')[2] ?? '', 'base64').subarray(0, 32)
  const expand = (key: Uint8Array, label: string, context: string): Buffer => {
    const counted = (text: string): string => String.fromCharCode(text.length) + text
    const info = Buffer.from(`\0\x20${counted(`tls13 ${label}`)}${counted(context)}`, 'latin1')
    return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), info, 32))
  }
  const retained = expand(configured, 'HostNQN', host)
  const digest = createHmac('sha256', retained).update(`${host} ${subsystem} NVMe-over-Fabrics`).digest('base64')
  const identity = `NVMe${version}R01 ${host} ${subsystem}${version === 0 ? '' : ` ${digest}`}`
  const context = version === 0 ? identity : `01 ${digest}`
  return { identity, hex: expand(retained, 'nvme-tls-psk', context).toString('hex') }
}

/** Puts a key into the kernel's keyring. */
export async function insertKey({ identity, hex }: DerivedKey): Promise<void> {
  await judge('keyctl', 'add', '-x', 'psk', identity, hex, '%:.nvme')
}

/** A new key of SHA-256 in the interchange format, made by nvme-cli. */
export async function newTlsKey(): Promise<string> {
  return (await judge('nvme', 'gen-tls-key', '--hmac=1')).trim()
}
