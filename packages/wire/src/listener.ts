import { LinuxError } from '@blockbraid/linux'
import { listenByDescriptor } from './descriptor-listener.ts'
import type { ListenAddress, ListenOptions, WireListener } from './listening.ts'
import { listenByNet } from './net-listener.ts'
import { tellNoAddon } from './no-addon.ts'

/**
 * Listens, on TCP as node:net does, or on a unix socket, whose file is left when it ends. Where the addon of
 * `@blockbraid/linux` cannot be had, by node:net, which is slower: the process is warned once. Rejects with the system's
 * errors, in node:net's words: EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOTFOUND and so on.
 */
export async function listenForWires(where: ListenAddress, options: ListenOptions): Promise<WireListener> {
  try {
    return await listenByDescriptor(where, options)
  } catch (error) {
    if (!LinuxError.is(error) || error.code !== 'ERR_NO_ADDON') throw error
    tellNoAddon(error)
    return listenByNet(where, options)
  }
}
