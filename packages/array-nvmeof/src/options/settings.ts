import { createHash } from 'node:crypto'
import type { AuthPlan } from '../auth/options.ts'
import { authPlan } from '../auth/options.ts'
import { DISCOVERY_NQN } from '../nvme/opcodes.ts'
import type { KeyOf } from '../tls/keys.ts'
import { tlsKeys } from '../tls/keys.ts'
import { integer, oneOf, wrong } from './checks.ts'
import type { NvmeArrayOptions, NvmeFences, NvmePortOptions, NvmeReferral } from './options.ts'

/** Options with their defaults, checked. */
export interface ArraySettings
  extends Readonly<Required<Omit<NvmeArrayOptions, 'namespaces' | 'ports' | 'hosts' | 'auth' | 'tls'>>> {
  readonly ports: readonly Required<NvmePortOptions>[]
  /** Undefined: any host may connect. */
  readonly hosts: readonly string[] | undefined
  readonly fences: Required<NvmeFences>
  /** Undefined: nobody has to prove who he is. */
  readonly auth: AuthPlan | undefined
  readonly tls: KeyOf | undefined
}

const NQN = /^nqn\.[0-9]{4}-[0-9]{2}\.[\x21-\x7e]+$/
const LONGEST_NQN = 223
const MIB = 1024 * 1024
const HOUR = 3_600_000

/** Whether a text is an NVMe Qualified Name. */
export function isNqn(text: unknown): text is string {
  return typeof text === 'string' && text.length <= LONGEST_NQN && NQN.test(text)
}

/** Fills in defaults; throws a TypeError that names a wrong field. */
export function resolveOptions(options: NvmeArrayOptions): ArraySettings {
  const { name, ports = [{}], referrals = [], hosts } = options
  if (!isNqn(name)) throw wrong('name', name, 'an NQN such as nqn.2026-11.io.blockbraid:array0')
  if (!Array.isArray(ports) || ports.length === 0) throw wrong('ports', ports, 'a list of at least one')
  for (const [number, host] of (hosts ?? []).entries()) {
    if (!isNqn(host)) throw wrong(`hosts[${number}]`, host, 'an NQN such as nqn.2014-08.org.nvmexpress:uuid:…')
  }
  const crossResetTold = options.crossResetTold ?? 'immediate'
  oneOf('crossResetTold', crossResetTold, ['immediate', 'event'])
  return {
    name,
    ports: ports.map(resolvePort),
    hosts,
    referrals: checkReferrals(referrals),
    ...texts(options, name),
    ...transport(options),
    ...times(options),
    crossResets: integer('crossResets', options.crossResets ?? 4, 0, 255),
    crossResetTold,
    lingers: options.lingers ?? true,
    fences: { disable: true, crossReset: true, keepAlive: true, ...options.fences },
    asyncEvents: integer('asyncEvents', options.asyncEvents ?? 4, 1, 16),
    auth: options.auth === undefined ? undefined : authPlan(options.auth),
    tls: options.tls === undefined ? undefined : tlsKeys(options.tls, [name, DISCOVERY_NQN]),
    log: options.log ?? false,
  }
}

/** Referrals, checked. */
export function checkReferrals(referrals: readonly NvmeReferral[]): readonly NvmeReferral[] {
  for (const [number, { host, port = 8009 }] of referrals.entries()) {
    if (typeof host !== 'string' || host === '') throw wrong(`referrals[${number}].host`, host, 'an address')
    integer(`referrals[${number}].port`, port, 1, 65_535)
  }
  return referrals
}

function resolvePort({ host = '127.0.0.1', port = 0, serves = 'both' }: NvmePortOptions, number: number) {
  oneOf(`ports[${number}].serves`, serves, ['both', 'subsystem', 'discovery'])
  return { host, port: integer(`ports[${number}].port`, port, 0, 65_535), serves }
}

function texts({ serial, model = 'blockbraid simulated array', firmware = '1' }: NvmeArrayOptions, name: string) {
  const text = (field: string, value: string, length: number): string => {
    if (typeof value === 'string' && value.length > 0 && value.length <= length && /^[\x20-\x7e]+$/.test(value))
      return value
    throw wrong(field, value, `1 to ${length} printable characters`)
  }
  return {
    serial: text('serial', serial ?? createHash('sha256').update(name).digest('hex').slice(0, 20), 20),
    model: text('model', model, 40),
    firmware: text('firmware', firmware, 8),
  }
}

function transport(options: NvmeArrayOptions) {
  const maxTransfer = integer('maxTransfer', options.maxTransfer ?? MIB, 4096, 2048 * MIB)
  if (!Number.isInteger(Math.log2(maxTransfer))) throw wrong('maxTransfer', maxTransfer, '4096 times a power of two')
  return {
    queues: integer('queues', options.queues ?? 16, 1, 1024),
    queueSize: integer('queueSize', options.queueSize ?? 128, 2, 65_536),
    headerDigest: options.headerDigest ?? true,
    dataDigest: options.dataDigest ?? true,
    dataAlignment: integer('dataAlignment', options.dataAlignment ?? 4, 4, 128, 4),
    maxH2CData: integer('maxH2CData', options.maxH2CData ?? 128 * 1024, 4096, 16 * MIB, 4),
    inCapsuleData: integer('inCapsuleData', options.inCapsuleData ?? 8192, 0, MIB, 16),
    r2tSize: integer('r2tSize', options.r2tSize ?? 2048 * MIB, 512, 2048 * MIB, 512),
    r2tsAtOnce: integer('r2tsAtOnce', options.r2tsAtOnce ?? 1, 1, 65_536),
    c2hDataSize: integer('c2hDataSize', options.c2hDataSize ?? 2048 * MIB, 512, 2048 * MIB, 512),
    successFlag: options.successFlag ?? true,
    flowControlDisable: options.flowControlDisable ?? true,
    maxTransfer,
  }
}

function times(options: NvmeArrayOptions) {
  const [first, second, third] = options.retryDelays ?? [100, 500, 1000]
  const delay = (number: number, value: number): number => integer(`retryDelays[${number}]`, value, 0, 6_553_500, 100)
  const retryDelays: [number, number, number] = [delay(0, first), delay(1, second), delay(2, third)]
  return {
    minKeepAlive: integer('minKeepAlive', options.minKeepAlive ?? 0, 0, HOUR),
    keepAliveGranularity: integer('keepAliveGranularity', options.keepAliveGranularity ?? 100, 100, HOUR, 100),
    trafficKeepAlive: options.trafficKeepAlive ?? false,
    transitionTime: integer('transitionTime', options.transitionTime ?? 10, 1, 255),
    quiesceTime: integer('quiesceTime', options.quiesceTime ?? 0, 0, 65_535),
    readyTimeout: integer('readyTimeout', options.readyTimeout ?? 5000, 500, 127_500, 500),
    enableTime: integer('enableTime', options.enableTime ?? 0, 0, HOUR),
    retryDelays,
    connectTimeout: integer('connectTimeout', options.connectTimeout ?? 15_000, 1, HOUR),
  }
}
