import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './stage.ts'

const IQN = 'iqn.2026-11.io.example'
const two = { ports: 2, volumes: [{ size: '64MiB' as const }] }
const SAME = 'naa.6001405a1b2c3d4e5f60718293a4b5c6'
const portals = (...last: readonly number[]): string => `[${last.map((n) => `127.0.9.${n}`).join(', ')}]`
const WRITE_10 = 0x2a

/** The faults, in the order of the page. */
export const faults: readonly Fault[] = [
  {
    name: 'cable',
    title: 'A bad cable',
    about:
      'A byte of an answer is wrong now and then; digests find it. One path fails again and again, always for a digest, and the other never: it is on the way to that portal.',
    cure: 'Change the cable, then the transceiver, then the port. The path is let back in by itself when it has stayed up; `blockbraid path restore` does it at once.',
    async run({ array, up, load, show }) {
      const { wire } = await array('array', 21, two)
      await up([`{ use: iscsi, portals: ${portals(21, 22)}, dataDigest: true, headerDigest: true }`])
      load('vol-0')
      wire.faults.wire({ pdu: 'dataIn', portal: 1, corrupt: 60, rate: 0.02 })
      await sleep(12_000)
      await show('ls')
      await show('why', 'vol-0')
      await show('stats')
    },
  },
  {
    name: 'port',
    title: 'A flapping switch port',
    about: 'The link of one portal goes away for a moment and comes back, again and again.',
    cure: 'See the counters of that switch port. While it flaps it gets no I/O; `blockbraid path fail PAIR PATH` takes it out for good until it is mended.',
    async run({ array, up, load, show }) {
      const { wire } = await array('array', 21, two)
      await up([`{ use: iscsi, portals: ${portals(21, 22)} }`])
      load('vol-0')
      const link = wire.portals[1]!
      for (let time = 0; time < 5; time++) {
        await sleep(6000)
        link.reset()
        link.blackhole(true)
        await sleep(1500)
        link.blackhole(false)
      }
      await sleep(3000)
      await show('ls')
      await show('why', 'vol-0')
      await show('stats')
    },
  },
  {
    name: 'slow',
    title: 'A slow controller',
    about: 'Controller 1 takes 150 ms for what controller 0 does in less than one. Nothing fails.',
    cure: 'Ask the array what that controller does: a rebuild, a cache battery, a full queue. What `ls` says of the path goes away by itself when it is fast again.',
    async run({ array, up, load, show }) {
      const { storage } = await array('array', 21, two)
      await up([`{ use: iscsi, portals: ${portals(21, 22)} }`])
      load('vol-0')
      await sleep(3000)
      storage.slow(1, 150_000)
      await sleep(25_000)
      await show('ls')
      await show('why', 'vol-0')
      await show('stats')
    },
  },
  {
    name: 'reboot',
    title: 'An array that reboots',
    about: 'Every portal goes at once, and is back after eight seconds. I/O waits meanwhile, and goes on.',
    cure: 'Nothing, where it comes back within `noPathTimeout` (30 s). For arrays that take longer: `rideOut: array-reboot`.',
    async run({ array, up, load, show }) {
      const { wire } = await array('array', 21, two)
      await up([`{ use: iscsi, portals: ${portals(21, 22)} }`])
      load('vol-0')
      await sleep(2000)
      await Promise.all(wire.portals.map((portal) => portal.down()))
      await sleep(4000)
      await show('ls')
      await show('why', 'vol-0')
      await sleep(4000)
      await Promise.all(wire.portals.map((portal) => portal.up()))
      await sleep(12_000)
      await show('why', 'vol-0')
      await show('stats')
    },
  },
  {
    name: 'zoning',
    title: 'Misconfigured zoning',
    about:
      'This host may see two controllers, and sees one: the other portal is in a zone, or a VLAN, where nothing of it arrives.',
    cure: 'Mend the zone, the VLAN or the mapping of the LUN at that controller. The path comes by itself.',
    async run({ array, up, load, show }) {
      const { wire } = await array('array', 21, two)
      await wire.portals[1]!.down()
      await up([`{ use: iscsi, portals: ${portals(21, 22)} }`])
      load('vol-0')
      await sleep(8000)
      await show('ls')
      await show('why', 'vol-0')
      await show('stats')
    },
  },
  {
    name: 'identity',
    title: 'A duplicate identity',
    about:
      'Two arrays claim one identity for different disks, as copies of a virtual array do. Joined, they would mix two volumes: neither is served, and `ls` says why.',
    cure: 'Give one of the disks an identity of its own at its array; where they are the same volume after all, `same:` in the config says so.',
    async run({ array, up, show }) {
      await array('first', 21, { ports: 1, volumes: [{ size: '64MiB', id: SAME }] })
      await array('second', 31, { ports: 1, volumes: [{ size: '128MiB', id: SAME }] })
      await up([`{ use: iscsi, portals: ${portals(21)} }`, `{ use: iscsi, portals: ${portals(31)} }`])
      await sleep(3000)
      await show('ls')
      await show('stats')
    },
  },
  {
    name: 'full',
    title: 'A full pool',
    about:
      'The pool behind a thin volume has no space left: writes to new blocks fail on every path alike, reads go on. No path is bad.',
    cure: 'Give the pool space, or discard what is not used (`fstrim`).',
    async run({ array, up, load, show }) {
      const { wire } = await array('array', 21, two)
      await up([`{ use: iscsi, portals: ${portals(21, 22)} }`])
      load('vol-0')
      await sleep(1000)
      wire.faults.command({ lun: 0, opcode: WRITE_10, status: 2, sense: 0x072707 })
      await sleep(5000)
      await show('ls')
      await show('why', 'vol-0')
      await show('stats')
    },
  },
  {
    name: 'chap',
    title: 'A wrong CHAP secret',
    about:
      'The secret was changed at the array while the agent ran, and a link was lost after that: the path cannot log in again. A write that was in flight moves when that has proven that it cannot land any more; until then the path is `fencing`, and what overlaps that write waits.',
    cure: `Write the new secret into the config, and have the agent read it: \`blockbraid up --take-over\`. What was offered, \`blockbraid discover iscsi://PORTAL/${IQN}:array\` says.`,
    async run({ array, up, load, show }) {
      const { wire, storage } = await array('array', 21, two, {
        chap: { user: 'host1', secret: 'a secret of sixteen' },
      })
      await up([`{ use: iscsi, portals: ${portals(21, 22)}, chap: { user: host1, secret: a secret of sixteen } }`])
      load('vol-0')
      // So that writes are in flight.
      storage.slow(1, 20_000)
      await sleep(1500)
      wire.faults.login({ portal: 1, action: 'refuse', status: 0x0201 })
      wire.portals[1]!.reset()
      await sleep(6000)
      await show('ls')
      await show('why', 'vol-0')
      await show('stats')
    },
  },
]
