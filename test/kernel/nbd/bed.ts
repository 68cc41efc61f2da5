import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { constants, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import type { Attachment, DeviceLimits, Transport } from '@blockbraid/core'
import { mapMemory } from '@blockbraid/linux'
import type { NbdTransportOptions } from '@blockbraid/transport-nbd'
import nbd from '@blockbraid/transport-nbd'
import type { FileDevice } from './file-device.ts'
import { fileDevice } from './file-device.ts'

export const MIB = 2 ** 20

/** A file of zeroes that goes with the test. */
export function makeFile(t: TestContext, size = 64 * MIB): string {
  const folder = mkdtempSync(join(tmpdir(), 'nbd-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'blocks')
  writeFileSync(file, '')
  truncateSync(file, size)
  return file
}

/** A node over a file device. */
export interface Node {
  readonly transport: Transport
  readonly attachment: Attachment
  readonly device: FileDevice
  /** Such as nbd0. */
  readonly kname: string
}

/** Attaches a file device as `name` of volume `naa.1`; what is left of it goes with the test. */
export async function attach(
  t: TestContext,
  {
    limits,
    name = 'disk',
    file,
    ...options
  }: NbdTransportOptions & { limits?: Partial<DeviceLimits>; name?: string; file?: string } = {},
): Promise<Node> {
  const { file: made, device } = fileDevice(file ?? makeFile(t), limits)
  const transport = nbd({ kernel: true, ...options })
  t.after(async () => {
    made.release()
    await transport.close({ mode: 'force' })
    await device.close()
  })
  const attachment = await transport.attach(device, { name, volume: 'naa.1' })
  return { transport, attachment, device: made, kname: attachment.node.slice('/dev/'.length) }
}

/** An attribute of a node. */
export function attribute(kname: string, name: string): string {
  return readFileSync(`/sys/block/${kname}/${name}`, 'utf8').trim()
}

/** Open files of this process, those of libuv included. */
export function openFiles(): number {
  return readdirSync('/proc/self/fd').length
}

/** Nodes with a backend. */
export function connectedNodes(): string[] {
  return readdirSync('/sys/block').filter((kname) => {
    try {
      return attribute(kname, 'backend') !== ''
    } catch {
      return false
    }
  })
}

/** A node opened past the page cache. */
export interface DirectFile extends AsyncDisposable {
  write(offset: number, data: Uint8Array): Promise<void>
  read(offset: number, length: number): Promise<Buffer>
}

/** Opens a node with O_DIRECT; one transfer at a time, of 1 MiB at most. */
export async function openDirect(node: string): Promise<DirectFile> {
  const handle = await open(node, constants.O_RDWR | constants.O_DIRECT)
  // O_DIRECT wants memory on page bounds.
  const memory = Buffer.from(mapMemory(MIB).buffer)
  return {
    async write(offset, data) {
      memory.set(data)
      const { bytesWritten } = await handle.write(memory, 0, data.length, offset)
      if (bytesWritten !== data.length) throw new Error(`${bytesWritten} of ${data.length} bytes written`)
    },
    async read(offset, length) {
      const { bytesRead } = await handle.read(memory, 0, length, offset)
      return Buffer.from(memory.subarray(0, bytesRead))
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

/** Text repeated to `length` bytes. */
export function pattern(text: string, length: number): Buffer {
  return Buffer.alloc(length, `${text} `)
}

const execute = promisify(execFile)

/** Runs a command beside this process, which may have to serve its I/O; resolves to what it prints. */
export async function run(file: string, ...args: string[]): Promise<string> {
  return (await execute(file, args)).stdout
}
