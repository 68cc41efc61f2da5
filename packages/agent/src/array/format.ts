import { formatSize } from '../text/amounts.ts'
import { wrap } from '../text/facts.ts'
import { formatTable, printable } from '../text/table.ts'
import type { LabState } from './state.ts'

const portColumns = [
  { title: 'port', align: 'right' },
  { title: 'address' },
  { title: 'array', elastic: true },
  { title: 'state' },
  { title: 'hosts', align: 'right' },
  { title: 'in flight', align: 'right' },
] as const

const volumeColumns = [
  { title: 'volume', align: 'right' },
  { title: 'identity', elastic: true },
  { title: 'size', align: 'right' },
  { title: 'block', align: 'right' },
  { title: 'access' },
] as const

/** Ports and volumes for people, `width` characters wide. */
export function formatLab({ ports, volumes, violations }: LabState, width: number): string[] {
  const portRows = ports.map(({ port, address, array, state, holds, held, hosts, inflight }) => [
    String(port),
    address,
    array,
    holds ? `${state}, holds ${held}` : state,
    String(hosts.length),
    String(inflight),
  ])
  const volumeRows = volumes.map(({ volume, id, size, blockSize, readOnly, at }) => [
    String(volume),
    id,
    formatSize(size),
    String(blockSize),
    [...(readOnly ? ['read-only'] : []), ...accessWords(at, ports.length)].join(', '),
  ])
  return [
    ...formatTable(portColumns, portRows, width),
    '',
    ...formatTable(volumeColumns, volumeRows, width),
    ...violations.flatMap((text) => wrap(printable(`violation: ${text}`), width)),
  ]
}

/** `optimized`, or each state with its ports: `optimized 0 1, standby 2`. */
function accessWords(at: LabState['volumes'][number]['at'], all: number): string[] {
  if (at.length === 0) return ['at no port']
  const states = Map.groupBy(at, ({ access }) => access)
  if (states.size === 1 && at.length === all) return [...states.keys()]
  return [...states].map(([access, places]) => `${access} ${places.map(({ port }) => port).join(' ')}`)
}
