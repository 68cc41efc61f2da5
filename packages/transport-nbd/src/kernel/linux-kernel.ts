import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { open, readdir, readFile, writeFile } from 'node:fs/promises'
import { BlockError, messageOf } from '@blockbraid/core'
import type { GenericNetlink, NetlinkAttribute, NetlinkMessage } from '@blockbraid/linux'
import {
  closeFd,
  guardNode,
  helperEnvironment,
  ioctl,
  LinuxError,
  nodeUsers,
  openGenericNetlink,
  setNodeReadOnly,
  settleNode,
  socketPair,
} from '@blockbraid/linux'
import { guardEntry } from './guard-entry.ts'
import type { NbdKernel } from './nbd-kernel.ts'
import {
  chosenIndex,
  connectAttributes,
  disconnectAttributes,
  NBD_FAMILY,
  NbdCommand,
  reconfigureAttributes,
} from './netlink.ts'

/** Bytes in flight in each direction of a connection, at most; a request that fits is sent without a break. */
const SOCKET_BUFFER = 4 * 1024 * 1024

/** Milliseconds. Some requests wait until the node has nothing in flight. */
const LIMIT = 300_000

const BLKRRPART = 0x125f

/** Bit 21 of the capabilities: the nbd driver asks for CAP_SYS_ADMIN. */
const SYS_ADMIN = 1n << 21n

const NEEDS = 'kernel nodes need CAP_SYS_ADMIN in the first user namespace: run as root'

/** The kernel and the host that this process runs on. */
export const linuxKernel: NbdKernel = {
  async ready() {
    if (!(await isPrivileged())) throw new BlockError('DENIED', NEEDS)
    ;(await openNbd()).close()
  },

  async connect(spec) {
    const messages = await request('making an nbd node', NbdCommand.Connect, connectAttributes(spec))
    return chosenIndex(messages)
  },

  async reconfigure(index, backend, change) {
    try {
      await request(`changing /dev/nbd${index}`, NbdCommand.Reconfigure, reconfigureAttributes(index, backend, change))
      return true
    } catch (error) {
      if (BlockError.is(error) && LinuxError.is(error.cause) && error.cause.code === 'EINVAL') return false
      throw error
    }
  },

  async disconnect(index) {
    await request(`disconnecting /dev/nbd${index}`, NbdCommand.Disconnect, disconnectAttributes(index))
  },

  async nodes() {
    const names = await readdir('/sys/block').catch(() => [])
    const indexes = names.flatMap((name) => /^nbd(\d+)$/.exec(name)?.[1] ?? []).map(Number)
    const nodes = await Promise.all(
      indexes.map(async (index) => ({ index, backend: (await linuxKernel.read(index, 'backend')) ?? '' })),
    )
    return nodes.filter(({ backend }) => backend !== '').sort((a, b) => a.index - b.index)
  },

  async read(index, attribute) {
    const text = await readFile(`/sys/block/nbd${index}/${attribute}`, 'utf8').catch(() => undefined)
    return text?.trimEnd()
  },

  async write(index, attribute, value) {
    await writeFile(`/sys/block/nbd${index}/${attribute}`, value).catch((error: unknown) => {
      throw explained(`setting ${attribute} of /dev/nbd${index}`, error)
    })
  },

  async setReadOnly(index, on) {
    try {
      return await setNodeReadOnly(`nbd${index}`, on)
    } catch (error) {
      throw explained(`making /dev/nbd${index} ${on ? 'read-only' : 'writable'}`, error)
    }
  },

  async connections(index) {
    return (await readdir(`/sys/block/nbd${index}/mq`).catch(() => [''])).length
  },

  socketPair() {
    return socketPair(SOCKET_BUFFER)
  },

  closeFd,

  async settle(index) {
    await settleNode(`nbd${index}`)
  },

  users(index) {
    return nodeUsers(`nbd${index}`)
  },

  async claim(index) {
    try {
      return await open(`/dev/nbd${index}`, constants.O_RDONLY | constants.O_EXCL)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EBUSY') {
        const message = `/dev/nbd${index} is in use, by whom is hidden: by another mount namespace, or inside the kernel`
        throw new BlockError('IN_USE', message, { cause: error })
      }
      throw explained(`opening /dev/nbd${index}`, error)
    }
  },

  async rescan(index) {
    const file = await open(`/dev/nbd${index}`, constants.O_RDONLY)
    try {
      await ioctl(file.fd, BLKRRPART)
    } catch (error) {
      if (LinuxError.is(error) && error.code === 'EINVAL') {
        const message = 'the nbd module was loaded without partitions: load it with max_part=16'
        throw new BlockError('NOT_SUPPORTED', message, { cause: error })
      }
      throw explained(`looking for partitions of /dev/nbd${index}`, error)
    } finally {
      await file.close()
    }
  },

  guard(index, backend, limit) {
    return guardNode(new URL('./guard.js', import.meta.url), guardEntry({ index, pid: process.pid, backend }), limit)
  },
}

async function isPrivileged(): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'utf8')
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'
  return (BigInt(`0x${capabilities}`) & SYS_ADMIN) !== 0n
}

async function request(
  what: string,
  command: number,
  attributes: readonly NetlinkAttribute[],
): Promise<NetlinkMessage[]> {
  // One of its own for each: some wait for I/O, and others must not wait behind them.
  const netlink = await openNbd()
  try {
    return await netlink.request(command, attributes, { timeout: LIMIT })
  } catch (error) {
    throw explained(what, error)
  } finally {
    netlink.close()
  }
}

async function openNbd(): Promise<GenericNetlink> {
  try {
    return await openGenericNetlink(NBD_FAMILY)
  } catch (error) {
    if (!LinuxError.is(error) || error.code !== 'ENOENT') throw explained('opening netlink', error)
  }
  const refused = await loadModule()
  try {
    return await openGenericNetlink(NBD_FAMILY)
  } catch (error) {
    const message = `the kernel module nbd is not loaded: run "modprobe nbd" as root${refused && `; here it ended with: ${refused}`}`
    throw new BlockError('NOT_SUPPORTED', message, { cause: error })
  }
}

/** Loads the module without nodes for the ioctl interface; resolves to what modprobe says where it cannot. */
function loadModule(): Promise<string> {
  return new Promise((resolve) => {
    const options = { timeout: 30_000, env: helperEnvironment() }
    execFile('modprobe', ['nbd', 'nbds_max=0'], options, (error, _, complaint) =>
      resolve(error === null ? '' : complaint.trim() || error.message),
    )
  })
}

/** What a system call's error means to whoever wants a node. */
function explained(what: string, error: unknown): BlockError {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ERR_NO_ADDON') return new BlockError('NOT_SUPPORTED', messageOf(error), { cause: error })
  if (code === 'EPERM' || code === 'EACCES') {
    return new BlockError('DENIED', `${what} is not allowed: ${NEEDS}`, { cause: error })
  }
  const errno = LinuxError.is(error) ? { errno: error.errno } : {}
  return new BlockError('IO_FAILED', `${what}: ${messageOf(error)}`, { cause: error, ...errno })
}
