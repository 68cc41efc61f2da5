// Controllers that answer anything: each procedure ends, in few steps, with a result or an error that has a code.
import { BlockError } from '@blockbraid/core'
import { createRandom, randomInt } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { readAnaLog } from '../../src/controller/ana-log.ts'
import { bringUp } from '../../src/controller/bring-up.ts'
import { readDiscoveryLog } from '../../src/controller/discovery.ts'
import { disable } from '../../src/controller/enable.ts'
import { Events } from '../../src/controller/events.ts'
import { activeNamespaces, changedNamespaces, checkForm, readNamespace } from '../../src/controller/namespaces.ts'
import type { NewsListener } from '../../src/controller/serve-events.ts'
import { serveEvents } from '../../src/controller/serve-events.ts'
import { anaLogLength, decodeAnaLog } from '../../src/nvme/ana.ts'
import { decodeController, decodeNvmLimits } from '../../src/nvme/controller-data.ts'
import { decodeDescriptors } from '../../src/nvme/descriptors.ts'
import { decodeDiscoveryHeader, decodeDiscoveryRecords } from '../../src/nvme/discovery-log.ts'
import { decodeErrorLog } from '../../src/nvme/error-log.ts'
import { decodeNamespace } from '../../src/nvme/namespace-data.ts'
import { decodeNamespaceList } from '../../src/nvme/namespace-list.ts'
import type { Procedure } from '../../src/nvme/procedure.ts'
import { decodeReservations } from '../../src/nvme/reservations.ts'
import { decodeResetLog } from '../../src/nvme/reset-log.ts'
import { decodeSmartLog } from '../../src/nvme/smart-log.ts'
import { portalOf } from '../../src/place/portal.ts'
import {
  anaLog,
  controllerBytes,
  descriptorBytes,
  discoveryHead,
  namespaceBytes,
  namespaceList,
} from '../nvme/layouts.ts'
import { drive, ScriptedController } from './drive.ts'

const place = {
  hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:host',
  hostId: '00112233-4455-6677-8899-aabbccddeeff',
  subNqn: 'nqn.2026-11.io.blockbraid:array',
  portal: portalOf('127.0.0.1', 4420),
}
const nobody: NewsListener = { ana() {}, namespaces() {}, crossReset() {}, discovery() {}, notice() {} }

/** Answers that are right at first sight: what is wrong in them is found later. */
const seeds: readonly Uint8Array[] = [
  controllerBytes(),
  namespaceBytes(),
  namespaceList(1, 2, 3),
  descriptorBytes([3, new Uint8Array(16).fill(7)]),
  anaLog([{ id: 1, state: 1, namespaces: [1, 2] }]),
  discoveryHead(1, 3),
  new Uint8Array(0),
]

/** Bytes that are noise, or one of the seeds with a few bytes changed, cut anywhere. */
function bytesOf(random: () => number): Uint8Array {
  if (random() < 0.1) return Uint8Array.from({ length: randomInt(random, 5000) }, () => randomInt(random, 256))
  const bytes = seeds[randomInt(random, seeds.length)]!.slice()
  for (let left = randomInt(random, 4); left > 0 && bytes.length > 0; left--) {
    bytes[randomInt(random, Math.min(bytes.length, 200))] = randomInt(random, 256)
  }
  return random() < 0.8 ? bytes : bytes.subarray(0, randomInt(random, bytes.length + 1))
}

function wildController(random: () => number): ScriptedController {
  const controller = new ScriptedController()
  const right = controller.answer.bind(controller)
  controller.answer = (submission) => {
    const answer = right(submission)
    if (random() < 0.5) return answer
    const word = (): number => randomInt(random, 2 ** 32)
    const room = typeof submission.data === 'number' ? submission.data : 0
    return {
      status: random() < 0.1 ? randomInt(random, 2 ** 15) : 0,
      result: random() < 0.5 ? answer.result : word(),
      resultHigh: random() < 0.5 ? answer.resultHigh : word(),
      data: bytesOf(random).subarray(0, room),
    }
  }
  return controller
}

/** Runs it to its end: what it throws must be ours, with a code and a sentence. */
function ends(procedure: Procedure<unknown>, controller: ScriptedController): void {
  try {
    drive(procedure, controller)
  } catch (error) {
    if (!BlockError.is(error)) throw error
    expect(error.message.length).toBeLessThan(500)
  }
}

const procedures: [name: string, make: (random: () => number) => Procedure<unknown>, most: number][] = [
  ['bring-up', () => bringUp({ place, entries: 32, keepAliveTimeout: 5000, queues: 4, queueDepth: 128 }), 20_000],
  ['the ANA log', (random) => readAnaLog({ logOffsets: random() < 0.5 }), 200],
  ['the list of namespaces', () => activeNamespaces(), 40],
  ['changed namespaces', () => changedNamespaces(), 1],
  [
    'a namespace',
    function* () {
      checkForm(yield* readNamespace(1))
    },
    2,
  ],
  ['the discovery log', () => readDiscoveryLog(), 20_000],
  ['a controller that is disabled', () => disable(1000), 20],
  [
    'events',
    (random) => {
      const events = new Events(4)
      events.arm()
      for (let left = 4; left > 0; left--) events.answered({ status: 0, result: randomInt(random, 2 ** 32) }, 0)
      return serveEvents(events, { logOffsets: true, ana: true }, nobody, () => 0)
    },
    800,
  ],
]

describe('a controller that answers anything', () => {
  it.each(procedures)('%s: it ends, with a result or with a reason', (_name, make, most) => {
    for (let seed = 1; seed <= 250; seed++) {
      const random = createRandom(seed)
      const controller = wildController(random)
      ends(make(random), controller)
      if (controller.sent.length > most) throw new Error(`seed ${seed}: ${controller.sent.length} commands were sent`)
    }
  })
})

const decoders: [name: string, decode: (bytes: Uint8Array) => unknown][] = [
  ['Identify Controller', decodeController],
  ['limits of the NVM command set', decodeNvmLimits],
  ['Identify Namespace', decodeNamespace],
  ['descriptors', decodeDescriptors],
  ['a list of namespaces', (bytes) => decodeNamespaceList(bytes)],
  ['an ANA log', decodeAnaLog],
  ['the length of an ANA log', anaLogLength],
  ['the head of a discovery log', decodeDiscoveryHeader],
  ['records of a discovery log', decodeDiscoveryRecords],
  ['an error log', decodeErrorLog],
  ['a SMART log', decodeSmartLog],
  ['a log of resets', decodeResetLog],
  ['a reservation report', (bytes) => decodeReservations(bytes)],
  ['a short reservation report', (bytes) => decodeReservations(bytes, false)],
]

describe('bytes that are anything', () => {
  it.each(decoders)('%s: it is read, or refused with a code', (_name, decode) => {
    const random = createRandom(1)
    for (let left = 800; left > 0; left--) {
      try {
        decode(bytesOf(random))
      } catch (error) {
        if (!BlockError.is(error)) throw error
      }
    }
  })
})
