import type { Host } from '../clock.ts'
import { systemHost } from '../clock.ts'
import type { Ledger } from '../ledger.ts'
import type { PathSelector } from '../policy.ts'
import type { SignalOptions } from '../signal.ts'
import type { VolumeId } from '../volume-id.ts'
import { ConnectTurns } from './connects/connect-turns.ts'
import type { Owed } from './guard.ts'
import { Multipath } from './multipath.ts'
import type { MultipathDevice } from './multipath-device.ts'
import type { MultipathOptions } from './options.ts'
import { resolveOptions } from './options.ts'
import type { PathSource } from './path-source.ts'

/** Options of {@link openMultipath}. */
export interface OpenMultipathOptions extends SignalOptions {
  /** Makes the policy; left out: the first usable path takes all I/O. */
  selector?: (() => PathSelector) | undefined
  /** Time-outs and weights. */
  multipath?: MultipathOptions | undefined
  /** Defaults to the machine's. */
  host?: Host | undefined
  /** Keeps what may be in flight beyond the life of this process. */
  ledger?: Ledger | undefined
  /** Ranges in which somebody before may still have changes in flight: what overlaps them waits for the proof. */
  owed?: readonly Owed[] | undefined
}

/**
 * Opens the paths of a volume as one device. Resolves when a path is up, after up to one second for
 * the others; rejects with NO_PATH when every first try has failed.
 */
export function openMultipath(
  volume: VolumeId,
  sources: readonly PathSource[],
  options: OpenMultipathOptions = {},
): Promise<MultipathDevice> {
  return openInTurn(volume, sources, options, new ConnectTurns(options.host ?? systemHost))
}

/** The same for one device of many, whose paths connect in one order. */
export async function openInTurn(
  volume: VolumeId,
  sources: readonly PathSource[],
  options: OpenMultipathOptions,
  connects: ConnectTurns,
): Promise<MultipathDevice> {
  const { host = systemHost, selector, multipath, ledger, owed = [] } = options
  const resolved = resolveOptions(multipath)
  const device = new Multipath(volume, sources, host, resolved, selector, ledger, owed, connects)
  try {
    await device.ready(options.signal)
  } catch (error) {
    await device.close({ signal: AbortSignal.abort() })
    throw error
  }
  return device
}
