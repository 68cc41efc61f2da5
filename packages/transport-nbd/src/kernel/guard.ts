import { isServed, removeNodeRecord, runGuard } from '@blockbraid/linux'
import { parseGuardEntry } from './guard-entry.ts'
import { linuxKernel } from './linux-kernel.ts'
import { recordOf } from './serving.ts'

// A process of its own, which outlives the one that served the nodes. Nothing else ends requests that were in
// flight then: the kernel would wait for ever.
await runGuard(async (entry) => {
  const { index, pid, backend } = parseGuardEntry(entry)
  if ((await linuxKernel.read(index, 'backend')) !== backend) return
  const record = await recordOf(index, backend)
  // Whoever took it over has a guard of its own, and its time begins with the death of that process.
  if (record !== undefined && (record.pid !== pid || isServed(record))) return
  await linuxKernel.disconnect(index)
  if (record !== undefined) await removeNodeRecord(`nbd${index}`, record)
})
