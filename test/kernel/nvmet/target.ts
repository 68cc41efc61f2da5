// The kernel's NVMe target, as configfs makes it (Linux, drivers/nvme/target/configfs.c).
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Access } from '@blockbraid/core'
import { change, get, link, make, remove, set, unlink } from '../guest/configfs.ts'
import type { Storage } from '../guest/storage.ts'

/** Where it is configured. */
export const ROOT = '/sys/kernel/config/nvmet'

/** A port. */
export interface PortOptions {
  /** Its number, from 1. */
  readonly number: number
  /** `ADDRESS:PORT`. */
  readonly address: string
  /** `tls1.3` for ports of TLS, with `treq` `required` or `not required`. */
  readonly tls?: { readonly treq: string }
  /** Attributes, such as `{ param_inline_data_size: 4096 }`. */
  readonly attributes?: Readonly<Record<string, string | number>>
}

/** A namespace. */
export interface NamespaceOptions {
  readonly storage: Storage
  /** @defaultValue 1 */
  readonly group?: number
  /** Identity, a UUID with dashes; left out: the kernel makes one. */
  readonly uuid?: string
  /** Identity, 16 bytes as a UUID with dashes. */
  readonly nguid?: string
  /** Attributes, such as `{ resv_enable: 1 }`. */
  readonly attributes?: Readonly<Record<string, string | number>>
}

/** A host that may connect, and its DH-HMAC-CHAP. */
export interface HostOptions {
  readonly nqn: string
  /** Such as `{ dhchap_key: 'DHHC-1:…', dhchap_ctrl_key: …, dhchap_hash: 'hmac(sha256)', dhchap_dhgroup: 'ffdhe2048' }`. */
  readonly attributes?: Readonly<Record<string, string>>
}

/** A subsystem and its ports. */
export interface NvmetOptions {
  readonly nqn: string
  readonly ports: readonly PortOptions[]
  /** NSID 1 and up. */
  readonly namespaces: readonly NamespaceOptions[]
  /** Left out: any host may connect. */
  readonly hosts?: readonly HostOptions[]
  /** Of the subsystem, such as `{ attr_qid_max: 2 }`. */
  readonly attributes?: Readonly<Record<string, string | number>>
}

/** A subsystem of nvmet. */
export interface NvmetTarget extends AsyncDisposable {
  readonly nqn: string
  /** Addresses, as an initiator takes them. */
  readonly portals: readonly string[]
  /** Takes the subsystem off a port, with every controller there and the port itself, or puts it back. */
  setUp(port: number, up: boolean): Promise<void>
  /** ANA state of a group at a port. */
  setAccess(port: number, group: number, access: Access): void
  addNamespace(nsid: number, options: NamespaceOptions): void
  /** Takes one away for good. */
  removeNamespace(nsid: number): Promise<void>
  /** Hides a namespace from hosts, or shows it again. */
  setEnabled(nsid: number, enabled: boolean): Promise<void>
  /** Has nvmet look how large its storage is. */
  revalidate(nsid: number): void
  /** An attribute of a namespace. */
  namespace(nsid: number, attribute: string): string
  /** Sets an attribute of the subsystem; where it is `attr_qid_max`, every controller ends. */
  setAttribute(name: string, value: string | number): Promise<void>
  /** Sets an attribute of a port, which is off meanwhile. */
  setPortAttribute(port: number, name: string, value: string | number): Promise<void>
  /** Has the discovery controller of a port tell of that of another port, or no longer; nvmet does not by itself. */
  setReferral(port: number, to: number, told: boolean): Promise<void>
  /** Lets a host connect, or changes what it must prove. */
  allow(host: HostOptions): void
  /** Lets a host connect no longer; what it has stays. */
  forbid(nqn: string): Promise<void>
}

const states: Readonly<Record<Access, string>> = {
  optimized: 'optimized',
  'non-optimized': 'non-optimized',
  standby: 'inaccessible',
  unavailable: 'persistent-loss',
  transitioning: 'change',
}

/** ANA groups that every port has. */
const GROUPS = [1, 2]

/** Makes a subsystem; disposing of it takes it down, its storage stays. */
export function createNvmet(options: NvmetOptions): NvmetTarget {
  const path = make(join(ROOT, 'subsystems', options.nqn), {
    attr_allow_any_host: options.hosts === undefined ? 1 : 0,
    ...options.attributes,
  })
  const portPath = (port: number): string => join(ROOT, 'ports', String(port))
  const namespacePath = (nsid: number): string => join(path, 'namespaces', String(nsid))
  const hosts = new Set<string>()

  const setUp = async (port: number, up: boolean): Promise<void> => {
    const subsystems = join(portPath(port), 'subsystems')
    if (up) link(path, subsystems)
    else await unlink(path, subsystems)
  }
  const addNamespace = (nsid: number, { storage, group = 1, uuid, nguid, attributes = {} }: NamespaceOptions): void => {
    const folder = make(namespacePath(nsid), { device_path: storage.path, ana_grpid: group })
    if (uuid !== undefined) set(folder, 'device_uuid', uuid)
    if (nguid !== undefined) set(folder, 'device_nguid', nguid)
    for (const [name, value] of Object.entries(attributes)) set(folder, name, value)
    set(folder, 'enable', 1)
  }
  const removeNamespace = async (nsid: number): Promise<void> => {
    await change(namespacePath(nsid), 'enable', 0)
    await remove(namespacePath(nsid))
  }
  const allow = ({ nqn, attributes = {} }: HostOptions): void => {
    const host = make(join(ROOT, 'hosts', nqn), attributes)
    if (!hosts.has(nqn)) link(host, join(path, 'allowed_hosts'))
    hosts.add(nqn)
  }
  const forbid = async (nqn: string): Promise<void> => {
    const host = join(ROOT, 'hosts', nqn)
    await unlink(host, join(path, 'allowed_hosts'))
    await remove(host)
    hosts.delete(nqn)
  }

  for (const [at, namespace] of options.namespaces.entries()) addNamespace(at + 1, namespace)
  for (const host of options.hosts ?? []) allow(host)
  for (const port of options.ports) {
    makePort(portPath(port.number), port)
    link(path, join(portPath(port.number), 'subsystems'))
  }
  return {
    nqn: options.nqn,
    portals: options.ports.map(({ address }) => address),
    setUp,
    setAccess: (port, group, access) =>
      set(join(portPath(port), 'ana_groups', String(group)), 'ana_state', states[access]),
    addNamespace,
    removeNamespace,
    setEnabled: (nsid, enabled) => change(namespacePath(nsid), 'enable', enabled ? 1 : 0),
    revalidate: (nsid) => set(namespacePath(nsid), 'revalidate_size', 1),
    namespace: (nsid, attribute) => get(namespacePath(nsid), attribute),
    setAttribute: (name, value) => change(path, name, value),
    async setPortAttribute(port, name, value) {
      await setUp(port, false)
      set(portPath(port), name, value)
      await setUp(port, true)
    },
    async setReferral(port, to, told) {
      const path = join(portPath(port), 'referrals', `port${to}`)
      const { address } = options.ports.find(({ number }) => number === to) as PortOptions
      if (told) make(path, { ...addressOf(address), addr_portid: to, enable: 1 })
      else await remove(path)
    },
    allow,
    forbid,
    async [Symbol.asyncDispose]() {
      for (const { number } of options.ports) {
        await setUp(number, false)
        const referrals = join(portPath(number), 'referrals')
        for (const name of readdirSync(referrals)) await remove(join(referrals, name))
        for (const group of GROUPS.slice(1)) await remove(join(portPath(number), 'ana_groups', String(group)))
        await remove(portPath(number))
      }
      for (const nqn of [...hosts]) await forbid(nqn)
      for (const nsid of readdirSync(join(path, 'namespaces'))) await removeNamespace(Number(nsid))
      await remove(path)
    },
  }
}

function makePort(path: string, { address, tls, attributes = {} }: PortOptions): void {
  make(path, {
    ...addressOf(address),
    ...(tls && { addr_tsas: 'tls1.3', addr_treq: tls.treq }),
    ...attributes,
  })
  for (const group of GROUPS) {
    const folder = join(path, 'ana_groups', String(group))
    if (!existsSync(folder)) make(folder)
    set(folder, 'ana_state', 'optimized')
  }
}

function addressOf(address: string): Readonly<Record<string, string>> {
  const colon = address.lastIndexOf(':')
  return {
    addr_trtype: 'tcp',
    addr_adrfam: 'ipv4',
    addr_traddr: address.slice(0, colon),
    addr_trsvcid: address.slice(colon + 1),
  }
}
