// The same reads from a user-space device itself, in this process.
import { Io, IoOp, type UserDevice } from '@blockbraid/core'
import type { Job } from './jobs.ts'

/** Reads at random places for that many seconds, `depth` at once; a job that writes fills the device. */
export async function readDirectly(
  device: UserDevice,
  job: Job,
  seconds: number,
): Promise<{ ios: number; iops: number }> {
  if (job.rw === 'write') return fill(device, job)
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

async function fill(device: UserDevice, { blockSize }: Job): Promise<{ ios: number; iops: number }> {
  const begun = performance.now()
  const data = new Uint8Array(blockSize).fill(7)
  const ios = device.limits.size / blockSize
  for (let offset = 0; offset < device.limits.size; offset += blockSize) await device.write(offset, data)
  return { ios, iops: (ios * 1000) / (performance.now() - begun) }
}
