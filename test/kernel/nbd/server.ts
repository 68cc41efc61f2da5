// Main of a process that serves a node and can be killed: node server.ts JSON. Writes a line of JSON once it is
// attached; a line on stdin is a mode to detach in, or `hold`.
import { createInterface } from 'node:readline'
import type { DetachMode, DeviceLimits } from '@blockbraid/core'
import type { NbdTransportOptions } from '@blockbraid/transport-nbd'
import nbd from '@blockbraid/transport-nbd'
import { fileDevice } from './file-device.ts'

/** What such a process serves. */
export interface ServerOptions {
  readonly file: string
  readonly name: string
  readonly volume: string
  readonly limits: Partial<DeviceLimits>
  readonly options: NbdTransportOptions
}

const { file, name, volume, limits, options } = JSON.parse(process.argv[2] ?? '') as ServerOptions
const { file: made, device } = fileDevice(file, limits)
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
try {
  const attachment = await nbd({ kernel: true, ...options }).attach(device, { name, volume })
  attachment.events.on('lost', (error) => say({ lost: error.message }))
  say({ node: attachment.node, tookOver: attachment.tookOver })
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'hold') {
      made.hold = true
      say({ held: true })
    } else {
      await attachment.detach({ mode: line as DetachMode })
      say({ detached: line })
      break
    }
  }
} catch (error) {
  say({ error: { code: (error as { code?: string }).code, message: (error as Error).message } })
}
process.exit()
