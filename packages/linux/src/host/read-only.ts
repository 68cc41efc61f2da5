import { constants } from 'node:fs'
import { open, readdir, readFile } from 'node:fs/promises'
import { ioctl } from '../fds.ts'

/** Takes a pointer to an int; needs CAP_SYS_ADMIN. */
const BLKROSET = 0x125d

/**
 * Has the block layer refuse writes to a node and its partitions, or take them again. Resolves to whether it is so now:
 * a driver that says itself that its node is read-only is not overruled. Rejects where the node cannot be opened, or
 * this process may not change it.
 */
export async function setNodeReadOnly(kname: string, on: boolean): Promise<boolean> {
  if ((await isReadOnly(kname)) === on) return true
  const partitions = (await readdir(`/sys/block/${kname}`)).filter((name) => name.startsWith(kname))
  for (const name of [kname, ...partitions]) await set(name, on)
  return (await isReadOnly(kname)) === on
}

async function isReadOnly(kname: string): Promise<boolean> {
  return (await readFile(`/sys/block/${kname}/ro`, 'utf8')).trim() === '1'
}

async function set(name: string, on: boolean): Promise<void> {
  const value = new Uint8Array(4)
  new Int32Array(value.buffer)[0] = on ? 1 : 0
  // Read-only: udev looks at a node again when somebody who could have written closes it.
  const file = await open(`/dev/${name}`, constants.O_RDONLY)
  try {
    await ioctl(file.fd, BLKROSET, value)
  } finally {
    await file.close()
  }
}
