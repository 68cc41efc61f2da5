import type { Clock } from '../clock.ts'
import type { DeviceCommandOptions } from '../commands.ts'
import { COMMAND_TIMEOUT, protocolName } from '../commands.ts'
import type { Path } from '../target.ts'
import type { VolumeId } from '../volume-id.ts'
import { anyRoute, oneRoute, passThrough } from './pass-through.ts'
import type { PathSlot } from './path-slot.ts'
import type { SlotList } from './slot-list.ts'
import { NO_ANSWER } from './troubles.ts'

/** What the commands of a device need of it. */
export interface CommandsOwner {
  readonly volume: VolumeId
  readonly clock: Clock
  readonly slots: SlotList
  /** Fires when the device ends. */
  readonly ended: AbortSignal
  /** The slots that I/O goes to. */
  usable(): readonly PathSlot[]
  /** Holds all changes until a failed path is fenced; `why` is for people. */
  guardAll(slot: PathSlot, why: string): void
  /** A command has changed who may do what. */
  reservationsChanged(): void
}

/** Sends a command that somebody has made by hand through paths of its protocol, the usable ones first. */
export function sendByHand(
  owner: CommandsOwner,
  protocol: string,
  command: unknown,
  data: Uint8Array | number,
  { timeout = COMMAND_TIMEOUT, signal, path }: DeviceCommandOptions,
): Promise<unknown> {
  const { volume, clock, slots, ended } = owner
  const signals = signal === undefined ? [ended] : [signal, ended]
  const route =
    path === undefined ? anyRoute(volume, protocol, () => upSlots(owner)) : oneRoute(slots.find(path), protocol)
  const hears = {
    unproven: (slot: PathSlot, path: Path): void => {
      // It is fenced already, and the slot goes on with another one.
      if (slot.entry.path !== path) return
      const what = `a ${protocolName(protocol)} command`
      slot.fail(`${what} had no answer`, NO_ANSWER)
      // What it has in its parameters is not known here.
      owner.guardAll(slot, `${what} that changes data had no answer and may still come`)
      slot.drained()
    },
    reservationsChanged: () => owner.reservationsChanged(),
  }
  return passThrough(route, { command, data, timeout, signals }, hears, clock)
}

function upSlots({ slots, usable }: CommandsOwner): readonly PathSlot[] {
  const first = usable()
  return [...first, ...slots.all.filter((slot) => slot.state === 'up' && !first.includes(slot))]
}
