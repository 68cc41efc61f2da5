// The process that outlives its server and ends what waits for a node that nobody takes over.
import { systemClock } from '@blockbraid/core'
import { runGuard } from '@blockbraid/linux'
import { openControl } from './control.ts'
import { removeOrphan } from './guard-entry.ts'
import { linuxSystem } from './system.ts'

await runGuard(async (entry) => {
  const control = await openControl(linuxSystem, systemClock)
  try {
    await removeOrphan(control, linuxSystem, entry)
  } finally {
    control.close()
  }
})
