import type { DeviceLimits } from '@blockbraid/core'
import type { NbdKernel } from './nbd-kernel.ts'
import type { KernelSettings } from './options.ts'

const IO_TIMEOUT = 'queue/io_timeout'
const MAX_SECTORS = 'queue/max_sectors_kb'

/** KiB; what Linux takes for devices that do not say. */
const USUAL_MAX_SECTORS = 1280

/** Sets what netlink cannot, where it is not so already: a change waits until the node has nothing in flight. */
export async function tuneNode(
  kernel: NbdKernel,
  index: number,
  settings: KernelSettings,
  limits: DeviceLimits,
): Promise<void> {
  if (settings.requestTimeout === 0) await set(kernel, index, IO_TIMEOUT, settings.resendInterval)
  const whole = Math.max(limits.blockSize, 4096)
  const largest = Math.min(USUAL_MAX_SECTORS * 1024, Math.max(limits.maxTransfer, whole))
  await set(kernel, index, MAX_SECTORS, (largest - (largest % whole)) / 1024)
}

/**
 * Has the block layer refuse writes to a node whose device does, or take them again; resolves to whether it is so now.
 * What the driver itself was told when the node was made it keeps.
 */
export async function protectNode(kernel: NbdKernel, index: number, readOnly: boolean): Promise<boolean> {
  const now = await kernel.read(index, 'ro')
  return now === undefined || (now === '1') === readOnly || kernel.setReadOnly(index, readOnly)
}

/** Leaves nothing of {@link tuneNode} to the next user of the node that would harm it. */
export async function resetNode(kernel: NbdKernel, index: number): Promise<void> {
  // Another program's, which has no backend where it was made by ioctl, is none of our business.
  for (const attribute of ['backend', 'pid']) if ((await kernel.read(index, attribute)) !== undefined) return
  await set(kernel, index, IO_TIMEOUT, 30_000).catch(() => {})
  await protectNode(kernel, index, false).catch(() => {})
}

async function set(kernel: NbdKernel, index: number, attribute: string, value: number): Promise<void> {
  const now = await kernel.read(index, attribute)
  if (now !== undefined && Number(now) !== value) await kernel.write(index, attribute, String(value))
}
