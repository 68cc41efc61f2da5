// The same reads from the user-space device itself, in this process.
import { createHostAgent, Io, IoOp, type UserDevice } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import type { Job } from './jobs.ts'
import { SIZE } from './jobs.ts'

let opened: Promise<UserDevice> | undefined

async function open(): Promise<UserDevice> {
  const agent = createHostAgent({ targets: [memory({ volumes: [{ size: SIZE }] })] })
  await agent.rescan()
  const device = await agent.open(agent.devices()[0]!.id)
  for (let offset = 0; offset < device.limits.size; offset += 1 << 20) {
    await device.write(offset, new Uint8Array(1 << 20).fill(7))
  }
  return device
}

/** Reads at random places for that many seconds, `depth` at once. */
export async function readDirectly(job: Job, seconds: number): Promise<{ ios: number; iops: number }> {
  // Opened full: the job that fills is its first.
  opened ??= open()
  const device = await opened
  if (job.rw === 'write') return { ios: 1, iops: 1 }
  const blocks = device.limits.size / job.blockSize
  const begun = performance.now()
  let ios = 0
  let running = job.depth
  await new Promise<void>((resolve, reject) => {
    const next = (io: Io): void => {
      io.offset = Math.floor(Math.random() * blocks) * job.blockSize
      device.submit(io)
    }
    for (let i = 0; i < job.depth; i++) {
      const io = new Io()
      io.op = IoOp.Read
      io.length = job.blockSize
      io.buffers = [new Uint8Array(job.blockSize)]
      io.done = (done, status) => {
        if (status !== 0) return reject(new Error(`a read ended with ${status}`))
        ios++
        if (performance.now() - begun < seconds * 1000) next(done)
        else if (--running === 0) resolve()
      }
      next(io)
    }
  })
  return { ios, iops: (ios * 1000) / (performance.now() - begun) }
}
