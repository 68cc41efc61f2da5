import type {
  AnaLog,
  Controller,
  Descriptors,
  ErrorEntry,
  Namespace,
  NvmeReservations,
  ResetEntry,
  SmartLog,
} from '@blockbraid/target-nvmeof'
import { describeStatus } from '@blockbraid/target-nvmeof'
import { typeName } from '../by-hand/request.ts'
import { formatCount, formatSize } from '../text/amounts.ts'
import { dump, facts } from '../text/facts.ts'
import { toHex } from '../text/hex.ts'
import { formatTable } from '../text/table.ts'
import { reservationTypes } from './forms.ts'

const types = ['does not say', 'I/O', 'discovery', 'administrative']

/** Identify Controller for people. */
export function controllerLines(controller: Controller, width: number): readonly string[] {
  const { version, id, type, maxTransfer, quiesceTime, crossResets, keepAliveGranularity, retryDelays } = controller
  const able = (['compare', 'deallocate', 'writeZeroes', 'reservations', 'verify'] as const).filter(
    (command) => controller[command],
  )
  return facts(
    [
      ['model', controller.model],
      ['serial', controller.serial],
      ['firmware', controller.firmware],
      ['subsystem', controller.subNqn],
      ['controller', `${id}, ${types[type] ?? `type ${type}`}`],
      ['standard', `NVMe ${version >>> 16}.${(version >>> 8) & 0xff}.${version & 0xff}`],
      ['longest transfer', maxTransfer === 0 ? 'no limit' : `${formatSize(2 ** (maxTransfer + 12))} in pages of 4 KiB`],
      ['commands', able.length === 0 ? 'none that is optional' : able.map(commandName).join(', ')],
      ['write cache', yes(controller.writeCache)],
      ['namespaces', `numbers up to ${controller.namespaces}`],
      ['ANA', controller.ana ? `yes, transitions of at most ${controller.transitionTime} s` : 'no'],
      [
        'keep alive',
        keepAliveGranularity === 0 ? 'no' : `in steps of ${keepAliveGranularity} ms, by ${signs(controller)}`,
      ],
      ['time to quiesce', quiesceTime === 0 ? 'not told' : `${quiesceTime} ms`],
      ['cross-controller reset', crossResets === 0 ? 'no' : `yes, ${crossResets} at once`],
      ['instance', `${controller.instance}, ${controller.instanceRandom}`],
      ['retry delays', retryDelays.map((delay) => `${delay} ms`).join(', ')],
      ['in-capsule data', formatSize(Math.max(0, controller.commandCapsule - 64))],
    ],
    width,
  )
}

function signs({ trafficBased }: Controller): string {
  return trafficBased ? 'any command' : 'Keep Alive commands'
}

function commandName(command: string): string {
  return command.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

/** Identify Namespace for people. */
export function namespaceLines(namespace: Namespace, width: number): readonly string[] {
  const { blocks, capacity, blockShift, metadata, protection, boundary, atomicBlocks, reservations } = namespace
  const blockSize = 2 ** blockShift
  const known = Object.keys(reservationTypes).filter((_name, index) => (reservations & (2 << index)) !== 0)
  return facts(
    [
      ['size', `${formatSize(blocks * blockSize)}, ${blocks} blocks`],
      ['capacity', `${capacity} blocks`],
      ['blocks', `${blockSize} bytes${metadata === 0 ? '' : `, ${metadata} of metadata`}`],
      ['protection', protection === 0 ? 'off' : `type ${protection}`],
      ['thin', yes(namespace.thin)],
      ['shared', yes(namespace.shared)],
      ['write protected', yes(namespace.readOnly)],
      ['deallocated is zero', yes(namespace.zeroesRead)],
      ['boundary', boundary === 0 ? 'not told' : `${boundary} blocks`],
      ['atomic', atomicBlocks === undefined ? 'as the controller says' : `${atomicBlocks} blocks`],
      ['best written', `${namespace.writeBlocks} blocks`],
      ['ANA group', namespace.anaGroup === 0 ? 'none' : String(namespace.anaGroup)],
      ['reservations', known.length === 0 ? 'none' : known.join(', ')],
      ['NGUID', identifier(namespace.nguid)],
      ['EUI-64', identifier(namespace.eui64)],
    ],
    width,
  )
}

/** Identification descriptors for people. */
export function descriptorLines({ eui64, nguid, uuid, commandSet }: Descriptors, width: number): readonly string[] {
  return facts(
    [
      ['UUID', identifier(uuid)],
      ['NGUID', identifier(nguid)],
      ['EUI-64', identifier(eui64)],
      ['command set', commandSet === undefined ? 'not told' : commandSet === 0 ? 'NVM' : String(commandSet)],
    ],
    width,
  )
}

function identifier(bytes: Uint8Array | undefined): string {
  return bytes === undefined || bytes.every((byte) => byte === 0) ? 'none' : toHex(bytes)
}

/** A list of namespaces for people: one a line. */
export function namespaceListLines(nsids: readonly number[] | undefined): readonly string[] {
  if (nsids === undefined) return ['more than the list has room for']
  return nsids.length === 0 ? ['no namespaces'] : nsids.map(String)
}

const groupColumns = [
  { title: 'group', align: 'right' },
  { title: 'access' },
  { title: 'namespaces', elastic: true },
] as const

/** The ANA log for people. */
export function anaLines({ groups }: AnaLog, width: number): readonly string[] {
  if (groups.length === 0) return ['no ANA groups']
  const rows = groups.map(({ id, access, namespaces }) => [String(id), access, namespaces.join(' ')])
  return formatTable(groupColumns, rows, width)
}

/** The SMART log for people. */
export function smartLines(log: SmartLog, width: number): readonly string[] {
  return facts(
    [
      ['critical', log.warnings.length === 0 ? 'nothing' : log.warnings.join(', ')],
      ['temperature', log.temperature === undefined ? 'not told' : `${log.temperature} °C`],
      ['spare', `${log.spare} %, critical below ${log.spareThreshold} %`],
      ['used', `${log.used} %`],
      // In thousands of 512 bytes.
      ['read', `${formatSize(log.unitsRead * 512_000)} by ${formatCount(log.reads)} commands`],
      ['written', `${formatSize(log.unitsWritten * 512_000)} by ${formatCount(log.writes)} commands`],
      ['busy', `${log.busy} minutes`],
      ['power', `${log.powerOnHours} hours on, ${log.powerCycles} times, ${log.unsafeShutdowns} lost`],
      ['errors', `${log.mediaErrors} of the medium, ${log.errorEntries} in the error log`],
    ],
    width,
  )
}

const errorColumns = [
  { title: 'count', align: 'right' },
  { title: 'queue', align: 'right' },
  { title: 'opcode' },
  { title: 'namespace', align: 'right' },
  { title: 'block', align: 'right' },
  { title: 'status', elastic: true },
] as const

/** The error log for people, the newest first. */
export function errorLines(entries: readonly ErrorEntry[], width: number): readonly string[] {
  if (entries.length === 0) return ['no errors']
  const rows = entries.map(({ count, queue, opcode, nsid, lba, status }) => [
    String(count),
    queue === 0xffff ? '-' : String(queue),
    `0x${opcode.toString(16).padStart(2, '0')}`,
    String(nsid),
    String(lba),
    describeStatus(status),
  ])
  return formatTable(errorColumns, rows, width)
}

const resetColumns = [
  { title: 'controller', align: 'right' },
  { title: 'instance', align: 'right' },
  { title: 'state' },
] as const

/** Cross-controller resets for people. */
export function resetLines(entries: readonly ResetEntry[], width: number): readonly string[] {
  if (entries.length === 0) return ['no cross-controller resets']
  const rows = entries.map(({ id, instance, state }) => [String(id), String(instance), state])
  return formatTable(resetColumns, rows, width)
}

/** A feature for people. */
export function featureLines({
  result,
  data,
}: {
  readonly result: number
  readonly data: Uint8Array
}): readonly string[] {
  return [`0x${(result >>> 0).toString(16).padStart(8, '0')} (${result >>> 0})`, ...dump(data)]
}

const registrantColumns = [
  { title: 'host', elastic: true },
  { title: 'controller', align: 'right' },
  { title: 'key' },
  { title: 'holds' },
] as const

/** Reservations for people. */
export function reservationLines(report: NvmeReservations, width: number): readonly string[] {
  const { generation, type, registrants } = report
  if (registrants.length === 0) return [`nobody is registered (generation ${generation})`]
  const rows = registrants.map(({ hostId, controller, key, holder }) => [
    hostId,
    controller === 0xffff ? '-' : String(controller),
    key,
    holder ? typeName(reservationTypes, type) : '-',
  ])
  return formatTable(registrantColumns, rows, width)
}

function yes(one: boolean): string {
  return one ? 'yes' : 'no'
}
