import type { Attachment, BlockDevice, Transport } from '@blockbraid/core'
import type { CaseFrame, SuiteTiming } from '../harness/runner.ts'
import type { Scope } from '../harness/scope.ts'
import { awaiting, check, errorOf, scopeFrame } from '../harness/scope.ts'
import type { TransportClient } from '../harness/transport-client.ts'
import { createMinimalDevice } from '../minimal/device.ts'
import type { MinimalStorage } from '../minimal/storage.ts'
import { createMinimalStorage } from '../minimal/storage.ts'

/** What reaches a device through a transport. */
export interface TransportCapabilities {
  /** Whether clients can flush. */
  flush: boolean
  /** Whether clients can write with FUA. */
  fua: boolean
  /** Whether clients can trim. */
  trim: boolean
  /** Whether clients can write zeroes. */
  writeZeroes: boolean
  /** Whether a new size reaches clients that connect after a resize. */
  resize: boolean
}

/** What `transportSuite` needs. */
export interface TransportSuiteOptions extends SuiteTiming {
  /** Gives a new transport that shares nothing with earlier ones. */
  open(): Promise<Transport>
  /** Opens what an attachment's `node` names, the way an application does. */
  connect(node: string): Promise<TransportClient>
  /** Its capability manifest. */
  has: TransportCapabilities
}

/** What a transport case works with; everything is closed when the case ends. */
export interface TransportScope extends Scope {
  readonly options: TransportSuiteOptions
  open(): Promise<Transport>
  /** A device, and the storage behind it. */
  device(blocks?: number): { device: BlockDevice; storage: MinimalStorage }
  attach(transport: Transport, device: BlockDevice, name: string): Promise<Attachment>
  connect(attachment: Attachment): Promise<TransportClient>
}

/** What every case of a transport begins with. */
export function transportFrame(options: TransportSuiteOptions): CaseFrame<TransportScope> {
  return {
    ...scopeFrame,
    begin() {
      const scope: TransportScope = {
        ...scopeFrame.begin(),
        options,
        async open() {
          const transport = await awaiting(scope, 'open', options.open())
          scope.cleanUps.push(() => transport.close())
          return transport
        },
        device(blocks) {
          const storage = createMinimalStorage(blocks)
          const device = createMinimalDevice(storage)
          scope.cleanUps.push(() => device.close())
          return { device, storage }
        },
        attach: (transport, device, name) =>
          awaiting(scope, `attach of ${name}`, transport.attach(device, { name, description: `test device ${name}` })),
        async connect({ node }) {
          const client = await awaiting(scope, `a client of ${node}`, options.connect(node))
          scope.cleanUps.push(() => client.close().catch(() => {}))
          return client
        },
      }
      return scope
    },
  }
}

/** Ends the case unless `call` fails with this errno. */
export async function failsWith(
  scope: Scope,
  what: string,
  call: () => Promise<unknown>,
  errnos: readonly number[],
): Promise<void> {
  const error = await errorOf(scope, what, call)
  check(error !== undefined, `${what} succeeded, instead of errno ${errnos.join(' or ')}`)
  const errno = error instanceof Error && 'errno' in error ? Number(error.errno) : Number.NaN
  check(
    errnos.includes(errno),
    `${what} failed with errno ${errno} (${String(error)}), instead of ${errnos.join(' or ')}`,
  )
}
