import type { BlockDevice, Io, IoStatus } from '@blockbraid/core'
import { BlockError, systemHost } from '@blockbraid/core'
import { createMinimalDevice, createMinimalStorage } from '@blockbraid/testkit'
import type { UblkOptions } from '../../src/options.ts'
import { ublkOn } from '../../src/transport.ts'
import type { FakeProcess } from './kernel.ts'
import { FakeKernel, turn } from './kernel.ts'

export const NAMES = { name: 'disk', volume: 'naa.5000000000000001' }
export const KIB = 1024

let pids = 1000

/** A process with a transport. */
export function processOf(kernel: FakeKernel, options: UblkOptions = {}) {
  const process: FakeProcess = kernel.process(pids++)
  const transport = ublkOn(process, { depth: 4, maxTransfer: 64 * KIB, ...options }, systemHost)
  return { process, transport }
}

/** A kernel, a process, a device of 4 MiB, and a node of it. */
export async function openBed(options: UblkOptions = {}, kernel = new FakeKernel()) {
  const { process, transport } = processOf(kernel, options)
  const storage = createMinimalStorage(1024)
  const device = createMinimalDevice(storage)
  const attachment = await transport.attach(device, NAMES)
  const id = Number(attachment.node.slice('/dev/ublkb'.length))
  return { kernel, process, transport, storage, device, attachment, id }
}

/** A device that keeps what it is given until told how it ends. */
export function manualDevice(
  limits = createMinimalStorage(1024).limits,
): BlockDevice & { readonly ios: Io[]; end(status?: IoStatus): void } {
  const ios: Io[] = []
  return {
    limits,
    ios,
    submit: (io) => void ios.push(io),
    close: () => Promise.resolve(),
    end(status = 0) {
      for (const io of ios.splice(0)) io.done(io, status)
    },
  }
}

/** Waits until something is so. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns > 2000) throw new Error(`never: ${what}`)
    await turn()
  }
}

/** The code and words of what a promise rejects with. */
export async function refused(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    if (BlockError.is(error)) return `${error.code} ${error.message}`
    throw error
  }
  throw new Error('it was not refused')
}
