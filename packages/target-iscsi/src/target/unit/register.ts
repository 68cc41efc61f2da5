import { decodeReservationKeys } from '../../scsi/reservations.ts'
import { persistentReserveIn, persistentReserveOut, ReserveIn, ReserveOut } from '../../scsi/reserve.ts'
import type { Asker } from './ask.ts'
import { ask, ScsiError } from './ask.ts'

// The allocation length has 16 bits.
const MOST = 0xfff8

/**
 * Registers a path with the key that other paths of this host have: where nobody is registered with it, either nobody
 * has done so yet, or another host has shut this one out, and that must stand. Resolves to whether it did so now.
 */
export async function joinRegistrants(asker: Asker, key: string): Promise<boolean> {
  try {
    if ((await countKey(asker, key)) === 0) return false
    await register(asker, '0x0', key)
    if ((await countKey(asker, key)) > 1) return true
    // Meanwhile the others have been shut out.
    await register(asker, key, '0x0')
  } catch (error) {
    // Registered already, or of a device that knows no reservations.
    if (!(error instanceof ScsiError)) throw error
  }
  return false
}

async function countKey(asker: Asker, key: string): Promise<number> {
  const data = await ask(asker, 'PERSISTENT RESERVE IN', persistentReserveIn(ReserveIn.ReadKeys, MOST))
  return decodeReservationKeys(data).keys.filter((each) => each === key).length
}

async function register(asker: Asker, key: string, serviceKey: string): Promise<void> {
  await ask(asker, 'PERSISTENT RESERVE OUT', persistentReserveOut(ReserveOut.Register, { key, serviceKey }))
}
