import type { Access } from '@blockbraid/core'
import { get16, get32, put16, put32 } from '@blockbraid/wire'
import type { CommandResult } from './entry.ts'
import { Attention, Check, GOOD } from './outcome.ts'
import type { Task } from './task.ts'
import type { Mapping } from './unit.ts'

/** Access states as RTPG numbers them (SPC-4 table 309). */
const codes: Readonly<Record<Access, number>> = {
  optimized: 0x0,
  'non-optimized': 0x1,
  standby: 0x2,
  unavailable: 0x3,
  transitioning: 0xf,
}
const states: readonly (Access | undefined)[] = ['optimized', 'non-optimized', 'standby', 'unavailable']

/** One mapping of a unit for each target port, by group. */
function groupsOf(mappings: Iterable<Mapping>): Map<number, Mapping[]> {
  const groups = new Map<number, Mapping[]>()
  for (const mapping of mappings) {
    const { group, number } = mapping.portal
    const others = groups.get(group) ?? []
    // A unit may stand at several LUNs of a port.
    if (others.every(({ portal }) => portal.number !== number)) groups.set(group, [...others, mapping])
  }
  return groups
}

/** REPORT TARGET PORT GROUPS (SPC-4 §6.37), with the header of either format. */
export function reportTargetPortGroups(task: Task): CommandResult {
  const { cdb, session } = task
  if (session!.host.tpgs === 0) return Check.invalidField
  const extended = cdb[1]! >> 5 === 1
  const head = Buffer.alloc(extended ? 8 : 4)
  if (extended) {
    head[4] = 0x10
    head[5] = session!.host.transitionTime
  }
  const parts = [head]
  for (const [group, mappings] of groupsOf(task.nexus!.mapping.unit.mappings)) {
    const one = Buffer.alloc(8 + 4 * mappings.length)
    one[0] = codes[mappings[0]!.access] | (mappings[0]!.preferred ? 0x80 : 0)
    // T, U, S, AN and AO are supported.
    one[1] = 0x8f
    put16(one, 2, group)
    one[5] = 0x02
    one[7] = mappings.length
    for (const [n, mapping] of mappings.entries()) put16(one, 10 + 4 * n, mapping.portal.number + 1)
    parts.push(one)
  }
  const data = Buffer.concat(parts)
  put32(data, 0, data.length - 4)
  return data.subarray(0, get32(cdb, 6))
}

/** SET TARGET PORT GROUPS (SPC-4 §6.45). */
export async function setTargetPortGroups(task: Task, data: Buffer): Promise<CommandResult> {
  const nexus = task.nexus!
  if ((task.session!.host.tpgs & 2) === 0) return Check.invalidOpcode
  if (data.length === 0) return GOOD
  if (data.length < 8 || (data.length - 4) % 4 !== 0) return Check.parameterListLength
  const { unit } = nexus.mapping
  const wanted: { mappings: Mapping[]; access: Access }[] = []
  for (let at = 4; at < data.length; at += 4) {
    const access = states[data[at]! & 0x0f]
    const group = get16(data, at + 2)
    const mappings = [...unit.mappings].filter(({ portal }) => portal.group === group)
    if (access === undefined || mappings.length === 0) return Check.invalidParameter
    wanted.push({ mappings, access })
  }
  for (const { mappings, access } of wanted) {
    for (const mapping of mappings) {
      if (mapping.setAccess === undefined) mapping.access = access
      // Another transition is under way, or the device is gone.
      else if (
        !(await mapping.setAccess(access).then(
          () => true,
          () => false,
        ))
      )
        return Check.transitioning
    }
  }
  // Everybody hears of it but the one who asked (SPC-4 §5.15.2.8).
  for (const other of unit.nexuses) other.accessChanged()
  nexus.clear(Attention.accessChanged)
  return GOOD
}
