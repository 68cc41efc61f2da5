import type { Lab, LabPort } from './lab.ts'

/** What `blockbraid array FILE ls --json` prints. */
export interface LabState {
  readonly name: string
  readonly ports: readonly {
    /** Its number in commands. */
    readonly port: number
    readonly use: string
    /** Name of the iSCSI target, or NQN of the subsystem. */
    readonly array: string
    readonly address: string
    /** `up`, `down`, `blackhole` or `hung`. */
    readonly state: string
    /** Whether what changes data is held, and how many commands are. */
    readonly holds: boolean
    readonly held: number
    /** TCP connections. */
    readonly connections: number
    /** Hosts that are connected. */
    readonly hosts: readonly string[]
    /** Their commands that are not answered. */
    readonly inflight: number
  }[]
  readonly volumes: readonly {
    /** Its number in commands. */
    readonly volume: number
    readonly id: string
    readonly size: number
    readonly blockSize: number
    readonly readOnly: boolean
    /** Where it is mapped: LUN or namespace by port, and the access state there. */
    readonly at: readonly { readonly port: number; readonly lun: number; readonly access: string }[]
  }[]
  /** What hosts did against the standards, a sentence each. */
  readonly violations: readonly string[]
}

/** How everything is now. */
export function stateOf({ name, storage, arrays, ports }: Lab): LabState {
  const { ports: places } = storage
  return {
    name,
    ports: ports.map((port) => {
      const hosts = port.array.hosts().filter((host) => host.port === ownNumber(port, ports))
      return {
        port: port.number,
        use: port.array.use,
        array: port.array.name,
        address: port.wire.address,
        state: linkOf(port, places[port.number]?.hung === true),
        holds: port.gate.closed,
        held: port.gate.held,
        connections: port.wire.connections,
        hosts: [...new Set(hosts.map((host) => host.name))],
        inflight: hosts.reduce((sum, { inflight }) => sum + inflight, 0),
      }
    }),
    volumes: storage.volumes.map(({ id, size, blockSize, readOnly }, volume) => ({
      volume,
      id,
      size,
      blockSize,
      readOnly,
      at: places.flatMap(({ number, luns }) =>
        luns.filter((one) => one.volume === id).map(({ lun, access }) => ({ port: number, lun, access })),
      ),
    })),
    violations: arrays.flatMap((array) => array.violations()),
  }
}

/** The number that the array of a port knows it by. */
function ownNumber({ number, array }: LabPort, ports: readonly LabPort[]): number {
  return number - ports.findIndex((other) => other.array === array)
}

function linkOf({ up, blackhole }: LabPort, hung: boolean): string {
  if (!up) return 'down'
  if (blackhole) return 'blackhole'
  return hung ? 'hung' : 'up'
}
