// A process that serves a file as a node: node server.ts FILE OPTIONS. Says over IPC what it has, does what it is told.
import type { BlockDevice } from '@blockbraid/core'
import { ublk } from '@blockbraid/transport-ublk'
import { fileDevice } from './file-device.ts'

/** What a server is told when it starts. */
export interface ServerOptions {
  readonly name: string
  readonly volume: string
  readonly transport?: Readonly<Record<string, unknown>>
  /** Milliseconds that each Io takes at least, once the node is there. */
  readonly delay?: number
}

/** What a server says. */
export type ServerMessage =
  | { readonly attached: { readonly node: string; readonly tookOver: boolean | undefined } }
  | { readonly failed: { readonly code: string; readonly message: string } }
  | { readonly lost: string }
  | { readonly left: true }

const say = (message: ServerMessage): void => void process.send?.(message)
const { name, volume, transport: settings, delay = 0 } = JSON.parse(process.argv[3]!) as ServerOptions
const file = fileDevice(process.argv[2]!)
let attached = false
const device: BlockDevice = {
  ...file,
  submit(io) {
    if (delay === 0 || !attached) file.submit(io)
    else setTimeout(() => file.submit(io), delay)
  },
}
const transport = ublk(settings)
try {
  const attachment = await transport.attach(device, { name, volume })
  attachment.events.on('lost', (error) => say({ lost: error.message }))
  process.on('message', async (mode: 'clean' | 'force' | 'leave') => {
    await attachment.detach({ mode })
    say({ left: true })
    process.disconnect()
    process.exit(0)
  })
  attached = true
  say({ attached: { node: attachment.node, tookOver: attachment.tookOver } })
} catch (error) {
  const { code, message } = error as Error & { code: string }
  say({ failed: { code, message } })
  process.disconnect()
}
