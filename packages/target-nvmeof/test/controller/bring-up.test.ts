import { put16le, put32le } from '@blockbraid/wire'
import { describe, expect, it } from 'vitest'
import type { BringUpOptions } from '../../src/controller/bring-up.ts'
import { bringUp } from '../../src/controller/bring-up.ts'
import { connectIo } from '../../src/controller/connect.ts'
import { disable, shutDown } from '../../src/controller/enable.ts'
import { decodeCapabilities } from '../../src/nvme/properties.ts'
import { DNR } from '../../src/nvme/status.ts'
import { portalOf } from '../../src/place/portal.ts'
import { controllerBytes } from '../nvme/layouts.ts'
import type { Answer } from './drive.ts'
import { drive, ScriptedController, withDword } from './drive.ts'

const place = {
  hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:host',
  hostId: '00112233-4455-6677-8899-aabbccddeeff',
  subNqn: 'nqn.2026-11.io.blockbraid:array',
  portal: portalOf('127.0.0.1', 4420),
}
const options: BringUpOptions = { place, entries: 32, keepAliveTimeout: 5000, queues: 4, queueDepth: 128 }

describe('bringing a controller up', () => {
  it('connects, enables, identifies, and reads back what was asked for', () => {
    const controller = new ScriptedController()
    const up = drive(bringUp(options), controller)
    expect(controller.names).toEqual([
      'Connect',
      'get VS',
      'get CAP',
      'set CC',
      'get CSTS',
      'Identify 1',
      'Get Features f',
      'Set Features 16',
      'Set Features b',
      'Set Features 7',
    ])
    expect(up.facts).toMatchObject({
      id: 0x1234,
      model: 'blockbraid test',
      serial: 'S1',
      keepAliveTimeout: 10_000,
      trafficBased: true,
      quiesceTime: 1500,
      crossResets: 4,
      instance: 7,
      instanceRandom: '0123456789abcdef',
      readyTimeout: 7500,
      pageSize: 4096,
    })
    expect(up).toMatchObject({ version: 0x20100, queues: 4, queueEntries: 129, eventRequests: 4 })
    expect(up.events.toString(16)).toBe('8010091f')
    expect(controller.sent[3]?.sqe.slice(48, 52)).toEqual(Uint8Array.of(0x01, 0x00, 0x46, 0x00))
  })

  it('takes as many queues and commands as the controller grants', () => {
    const controller = new ScriptedController()
    controller.replace['Set Features 7'] = () => ({ result: 0x0001_0003 })
    controller.identify = controllerBytes((bytes) => put16le(bytes, 514, 32))
    expect(drive(bringUp(options), controller)).toMatchObject({ queues: 2, queueEntries: 33 })
    controller.cap = [0x0f01_000f, 0x20]
    expect(drive(bringUp(options), controller)).toMatchObject({ queueEntries: 16 })
  })

  it('waits until the controller is ready, within CAP.TO', () => {
    const controller = new ScriptedController()
    let looks = 0
    controller.replace['get CSTS'] = () => ({ result: ++looks > 5 ? 1 : 0 })
    drive(bringUp(options), controller)
    expect([looks, controller.paused]).toEqual([6, 5 + 10 + 20 + 40 + 80])
  })

  it('that never gets ready gives up after CAP.TO', () => {
    const controller = new ScriptedController()
    controller.replace['get CSTS'] = () => ({ result: 0 })
    expect(() => drive(bringUp(options), controller)).toThrow(
      'the controller did not become ready (CSTS.RDY=1) within 7500 ms',
    )
    expect(controller.paused).toBe(7500)
  })

  it('goes on without what is optional', () => {
    const controller = new ScriptedController()
    const refuse = (): Answer => ({ status: 0x02 | DNR })
    Object.assign(controller.replace, { 'Set Features b': refuse, 'Set Features 16': refuse })
    expect(drive(bringUp(options), controller)).toMatchObject({ events: 0, queues: 4 })
  })

  it('does not ask for retry delays of a controller that has none', () => {
    const controller = new ScriptedController()
    controller.identify = controllerBytes((bytes) => bytes.fill(0, 128, 134))
    drive(bringUp(options), controller)
    expect(controller.names).not.toContain('Set Features 16')
  })

  it('knows no keep alive timeout where the controller has none, and fails where it hides it', () => {
    const controller = new ScriptedController()
    controller.replace['Get Features f'] = () => ({ status: 0x02 })
    expect(() => drive(bringUp(options), controller)).toThrow(
      'Get Features of the keep alive timeout failed: invalid field in command (status 0/02h)',
    )
    controller.identify = controllerBytes((bytes) => put16le(bytes, 320, 0))
    expect(drive(bringUp(options), controller).facts.keepAliveTimeout).toBe(0)
  })

  it('of a discovery controller asks for no queues, and for events of the log alone', () => {
    const controller = new ScriptedController()
    controller.identify = controllerBytes((bytes) => {
      bytes[111] = 2
    })
    const up = drive(bringUp({ ...options, queues: 0, keepAliveTimeout: 0 }), controller)
    expect(up.queues).toBe(0)
    expect(up.events.toString(16)).toBe('80000000')
    expect(controller.names).not.toContain('Set Features 7')
    expect(controller.names).not.toContain('Get Features f')
  })
})

describe('a controller that is not what it should be is refused', () => {
  const io = 'the controller is of subsystem nqn.other, asked for was nqn.2026-11.io.blockbraid:array'
  it.each<[string, (bytes: Uint8Array) => void, string]>([
    ['another id', (bytes) => put16le(bytes, 78, 9), 'Connect gave controller 4660, which says that it is 9'],
    ['another subsystem', (bytes) => bytes.set(Buffer.from('nqn.other\0'), 768), io],
    [
      'a discovery controller',
      (bytes) => bytes.fill(2, 111, 112),
      'what answers for nqn.2026-11.io.blockbraid:array is a discovery controller, which has no namespaces',
    ],
    [
      'no room for a command',
      (bytes) => put32le(bytes, 1792, 3),
      'the controller tells capsules of 48 and 16 bytes; they have at least 64 and 16',
    ],
  ])('%s', (_name, change, message) => {
    const controller = new ScriptedController()
    controller.identify = controllerBytes(change)
    expect(() => drive(bringUp(options), controller)).toThrow(message)
  })

  it('an I/O controller where a discovery controller is expected', () => {
    expect(() => drive(bringUp({ ...options, queues: 0 }), new ScriptedController())).toThrow(
      'is no discovery controller',
    )
  })

  it('one that has failed', () => {
    const controller = new ScriptedController()
    controller.replace['get CSTS'] = () => ({ result: 2 })
    expect(() => drive(bringUp(options), controller)).toThrow(
      'the controller has failed as it was enabled (CSTS.CFS=1)',
    )
  })

  it('Identify that is cut', () => {
    const controller = new ScriptedController()
    controller.identify = controller.identify.subarray(0, 100)
    expect(() => drive(bringUp(options), controller)).toThrow('Identify Controller of 100 bytes is too short')
  })

  it('pages that cannot be', () => {
    const controller = new ScriptedController()
    controller.cap = [0, 0x0005_0020]
    expect(() => drive(bringUp(options), controller)).toThrow(
      'a least memory page (MPSMIN 5) above its largest (MPSMAX 0)',
    )
  })
})

describe('a Connect that is refused says why', () => {
  const array = 'the array has to allow nqn.2014-08.org.nvmexpress:uuid:host'
  it.each<[string, number, number, string, string]>([
    [
      'host not allowed',
      0x184 | DNR,
      0,
      'DENIED',
      `this host is not allowed to use the subsystem (status 1/84h, do not retry); ${array}`,
    ],
    [
      'host NQN not taken',
      0x182 | DNR,
      0x1_0200,
      'DENIED',
      `it does not take this host (status 1/82h, do not retry); ${array}`,
    ],
    [
      'no such subsystem',
      0x182 | DNR,
      0x1_0100,
      'NOT_FOUND',
      'no subsystem of that name here (status 1/82h, do not retry)',
    ],
    ['host identifier', 0x182, 0x1_0000, 'CONNECT_FAILED', 'it does not take the host identifier (status 1/82h)'],
    ['queue size', 0x182, 44, 'CONNECT_FAILED', 'it does not take the size of the queue (status 1/82h)'],
    ['keep alive timeout', 0x182, 48, 'CONNECT_FAILED', 'it does not take the keep alive timeout (status 1/82h)'],
    [
      'a byte without a name',
      0x182,
      0x1_0017,
      'CONNECT_FAILED',
      'it does not take what stands at byte 23 of the data (status 1/82h)',
    ],
    ['busy', 0x181, 0, 'CONNECT_FAILED', 'the controller is taken, or there is no room for another (status 1/81h)'],
    [
      'discovery again',
      0x183,
      0,
      'CONNECT_FAILED',
      'the subsystem is not available here now; discovery has to be asked again (status 1/83h)',
    ],
    ['format', 0x180, 0, 'NOT_SUPPORTED', 'it does not know this format of Connect (status 1/80h)'],
    ['anything else', 0x06, 0, 'CONNECT_FAILED', 'internal error (status 0/06h)'],
  ])('%s', (_name, status, result, code, message) => {
    const controller = new ScriptedController()
    controller.replace['Connect'] = () => ({ status, result })
    const expected = {
      code,
      final: (status & DNR) !== 0,
      message: `the Connect to nqn.2026-11.io.blockbraid:array failed: ${message}`,
    }
    expect(caught(() => drive(bringUp(options), controller))).toMatchObject(expected)
    expect(controller.names).toEqual(['Connect'])
  })
})

describe('authentication', () => {
  it('comes before anything else, and is told whether it is asked for', () => {
    const controller = new ScriptedController()
    controller.connect |= 0x2_0000
    const asked: number[][] = []
    const authenticate = function* (connected: number, queue: number) {
      asked.push([connected, queue])
      expect(controller.names).toEqual(['Connect'])
      yield { pause: 1 }
    }
    expect(drive(bringUp({ ...options, authenticate }), controller).facts.id).toBe(0x1234)
    expect(asked).toEqual([[0x2_1234, 0]])
  })

  it('that is asked for and cannot be given ends the bring-up', () => {
    const controller = new ScriptedController()
    controller.connect |= 0x2_0000
    expect(caught(() => drive(bringUp(options), controller))).toMatchObject({
      code: 'DENIED',
      final: true,
      message:
        'the Connect of queue 0 failed: the subsystem asks for DH-HMAC-CHAP, and no secret is configured (dhchap)',
    })
  })

  it('is asked for on an I/O queue, too', () => {
    const controller = new ScriptedController()
    const asked: number[][] = []
    const authenticate = function* (connected: number, queue: number) {
      asked.push([connected, queue])
      yield { pause: 1 }
    }
    controller.connect |= 0x2_0000
    drive(connectIo(place, { queue: 1, entries: 129, controller: 0x1234 }, authenticate), controller)
    expect(asked).toEqual([[0x2_1234, 1]])
    const { sqe, data } = controller.sent[0]!
    expect(sqe.slice(40, 46)).toEqual(Uint8Array.of(0, 0, 1, 0, 128, 0))
    expect((data as Uint8Array).slice(16, 18)).toEqual(Uint8Array.of(0x34, 0x12))
  })
})

describe('the end of a controller', () => {
  it('disabled is when it says that it is not ready', () => {
    const controller = new ScriptedController()
    controller.status = 1
    let looks = 0
    controller.replace['get CSTS'] = () => ({ result: ++looks > 3 ? 0 : 3 })
    drive(disable(500), controller)
    expect(looks).toBe(4)
    expect(controller.sent[0]?.sqe.slice(48, 52)).toEqual(Uint8Array.of(0, 0, 0x46, 0))
  })

  it('is no proof as long as it is ready, failed or not', () => {
    const controller = new ScriptedController()
    controller.replace['get CSTS'] = () => ({ result: 3 })
    expect(() => drive(disable(500), controller)).toThrow(
      'the controller did not get disabled (CSTS.RDY=0) within 500 ms',
    )
  })

  it('shut down is when it says that it is done', () => {
    const controller = new ScriptedController()
    const capabilities = decodeCapabilities({ status: 0, result: 0, resultHigh: 0x20, data: new Uint8Array(0) })
    drive(shutDown(capabilities, 0), controller)
    expect(controller.sent[0]?.sqe.slice(48, 52)).toEqual(Uint8Array.of(1, 0x40, 0x46, 0))
    controller.replace['get CSTS'] = () => ({ result: 4 })
    expect(() => drive(shutDown(capabilities, 0), controller)).toThrow('within 5000 ms')
    expect(controller.paused).toBe(5000)
  })
})

it('a controller of an absurd keep alive timeout is believed', () => {
  const controller = new ScriptedController()
  controller.keepAlive = 0xffff_ffff
  controller.identify = withDword(96, 0)
  expect(drive(bringUp(options), controller).facts).toMatchObject({
    keepAliveTimeout: 0xffff_ffff,
    trafficBased: false,
  })
})

function caught(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}
