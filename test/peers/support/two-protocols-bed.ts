import type { IscsiArray, IscsiArrayOptions } from '@blockbraid/array-iscsi'
import { createIscsiArray } from '@blockbraid/array-iscsi'
import type { NvmeArray, NvmeArrayOptions } from '@blockbraid/array-nvmeof'
import { createNvmeArray } from '@blockbraid/array-nvmeof'
import type { BlockDevice, BlockDevicePair, HostAgent, PathSelector, PathView, VolumeId } from '@blockbraid/core'
import { createHostAgent } from '@blockbraid/core'
import { iscsi } from '@blockbraid/target-iscsi'
import { memory } from '@blockbraid/target-memory'
import type { NvmeofOptions } from '@blockbraid/target-nvmeof'
import { nvmeof } from '@blockbraid/target-nvmeof'
import { nbd } from '@blockbraid/transport-nbd'
import { expect } from 'vitest'
import { openFolder } from './bed.ts'
import { brisk } from './iscsi-bed.ts'

/** One volume behind an iSCSI portal and an NVMe/TCP port, as one pair. */
export interface TwoProtocolsBed extends AsyncDisposable {
  readonly iscsi: IscsiArray
  readonly nvme: NvmeArray
  readonly agent: HostAgent
  readonly pair: BlockDevicePair
  /** The volume as the storage has it. */
  stored(offset: number, length: number): Buffer
}

/** What a {@link TwoProtocolsBed} is made of. */
export interface TwoProtocolsOptions {
  /** What each side tells of the volume. */
  readonly identities: { readonly iscsi: VolumeId; readonly nvme: VolumeId }
  readonly iscsi?: Partial<IscsiArrayOptions>
  readonly nvme?: Partial<NvmeArrayOptions>
  readonly host?: Partial<NvmeofOptions>
  readonly selector?: () => PathSelector
}

/** An identity that both sides can tell. */
export const ONE: TwoProtocolsOptions['identities'] = {
  iscsi: 'eui.6001405aa5522f6e1234567890abcdef',
  nvme: 'eui.6001405aa5522f6e1234567890abcdef',
}

/** Two that the config says are one. */
export const TWO: TwoProtocolsOptions['identities'] = {
  iscsi: 'naa.6001405aa5522f6e1234567890abcdef',
  nvme: 'uuid.2ad5c0ea-3f1d-4b6b-9e2b-6f7b6b3a9d10',
}

/** Takes paths whose id begins with `prefix` while there are usable ones. */
export function preferring(prefix: string): PathSelector {
  let first: PathView | undefined
  return {
    name: 'preferring',
    update(paths) {
      first = paths.find(({ id }) => id.startsWith(prefix)) ?? paths[0]
    },
    select: () => first,
  }
}

// Without an access state of its own: those of the arrays count.
const plain = (device: BlockDevice): BlockDevice => ({
  get limits() {
    return device.limits
  },
  submit: (io) => device.submit(io),
  close: (options) => device.close(options),
})

export async function openTwoProtocols(options: TwoProtocolsOptions): Promise<TwoProtocolsBed> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await openFolder())
  const { identities } = options
  const storage = memory({ volumes: [{ size: '4MiB', blockSize: 4096 }], ports: 1 })
  stack.defer(() => storage.close({ signal: AbortSignal.timeout(2000) }).catch(() => {}))
  const [info] = await storage.discover()
  const device = plain(await storage.connect(info!))
  const portals = await createIscsiArray({
    name: 'iqn.2026-11.io.blockbraid:array',
    luns: [{ lun: 0, volume: identities.iscsi, device }],
    ...options.iscsi,
  })
  stack.defer(() => portals.close())
  const ports = await createNvmeArray({
    name: 'nqn.2026-11.io.blockbraid:array',
    namespaces: [{ volume: identities.nvme, device }],
    ...options.nvme,
  })
  stack.defer(() => ports.close())
  const agent = createHostAgent({
    targets: [
      iscsi({
        ...brisk,
        loginTimeout: 5000,
        initiator: 'iqn.2026-11.io.blockbraid:host',
        portals: portals.portals.map(({ address }) => address),
      }),
      nvmeof({
        portals: ports.ports.map(({ address }) => address),
        subsystem: ports.name,
        hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:6c9a2f5e-0f0c-4c0e-9a55-2d1b8f9f5a01',
        hostId: '6c9a2f5e-0f0c-4c0e-9a55-2d1b8f9f5a01',
        keepAliveTimeout: 1000,
        quiesceTime: 300,
        commandTimeout: 2000,
        ...options.host,
      }),
    ],
    ...(identities.iscsi === identities.nvme ? {} : { same: [[identities.iscsi, identities.nvme]] }),
  })
  stack.defer(() => agent.close({ signal: AbortSignal.timeout(5000) }).catch(() => {}))
  const { errors } = await agent.rescan()
  if (errors.length > 0) throw errors[0]!.error
  const devices = agent.devices().filter(({ kind }) => kind === 'multipath')
  expect(devices.map(({ id }) => id)).toEqual([identities.iscsi])
  const pair = await agent.pair({
    name: 'vol-0',
    device: identities.iscsi,
    ...(options.selector === undefined ? {} : { selector: options.selector }),
    multipath: { reconnectDelay: 50, reconnectDelayMax: 500 },
    transport: nbd({ socket: folder.at('nbd.sock') }),
  })
  await expect.poll(() => pair.paths.map(({ state }) => state), { timeout: 20_000 }).toEqual(['up', 'up'])
  const all = stack.move()
  return {
    iscsi: portals,
    nvme: ports,
    agent,
    pair,
    stored: (offset, length) => Buffer.from(storage.array.peek(0, offset, length)),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}
