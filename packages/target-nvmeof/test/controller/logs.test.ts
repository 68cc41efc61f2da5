import { describe, expect, it } from 'vitest'
import { readAnaLog } from '../../src/controller/ana-log.ts'
import { MAX_RECORDS, readDiscoveryLog } from '../../src/controller/discovery.ts'
import { activeNamespaces, changedNamespaces, checkForm, readNamespace } from '../../src/controller/namespaces.ts'
import { decodeAnaLog } from '../../src/nvme/ana.ts'
import { DNR } from '../../src/nvme/status.ts'
import {
  anaLog,
  descriptorBytes,
  discoveryHead,
  discoveryRecord,
  namespaceBytes,
  namespaceList,
} from '../nvme/layouts.ts'
import type { Sent } from './drive.ts'
import { drive, keepsEvent, logFrom, ScriptedController } from './drive.ts'

const manyGroups = (count: number, changes = 1): Uint8Array =>
  anaLog(
    Array.from({ length: count }, (_, index) => ({ id: index + 1, state: 1, namespaces: [index + 1] })),
    changes,
  )

describe('the ANA log', () => {
  it('that is short is one read, which ends its event', () => {
    const controller = new ScriptedController()
    const log = manyGroups(3)
    controller.replace['log c'] = (sent) => ({ data: Buffer.concat([logFrom(log, sent), new Uint8Array(9000)]) })
    expect(Buffer.compare(drive(readAnaLog({ logOffsets: true }), controller), log)).toBe(0)
    expect(controller.sent.map(keepsEvent)).toEqual([false])
  })

  it('that is long is read in pieces', () => {
    const controller = new ScriptedController()
    const log = manyGroups(300)
    controller.replace['log c'] = (sent) => ({ data: logFrom(log, sent) })
    expect(Buffer.compare(drive(readAnaLog({ logOffsets: true }), controller), log)).toBe(0)
    expect(controller.sent.map(keepsEvent)).toEqual([false, true, true, false])
  })

  it('that is long is read at once where the controller knows no offsets', () => {
    const controller = new ScriptedController()
    const log = manyGroups(300)
    controller.replace['log c'] = (sent) => ({ data: logFrom(log, sent) })
    expect(Buffer.compare(drive(readAnaLog({ logOffsets: false }), controller), log)).toBe(0)
    expect(controller.sent.map(({ data }) => data)).toEqual([4096, 12288])
  })

  it('that changes between two pieces is read again', () => {
    const controller = new ScriptedController()
    let changes = 1
    controller.replace['log c'] = (sent) => {
      const log = manyGroups(200, changes)
      if (controller.sent.length === 2) changes++
      return { data: logFrom(log, sent) }
    }
    expect(decodeAnaLog(drive(readAnaLog({ logOffsets: true }), controller)).changes).toBe('0000000000000002')
  })

  it('that changes without end is given up', () => {
    const controller = new ScriptedController()
    let changes = 1
    controller.replace['log c'] = (sent) => ({ data: logFrom(manyGroups(200, ++changes), sent) })
    expect(() => drive(readAnaLog({ logOffsets: true }), controller)).toThrow(
      'the ANA log changed during each of 4 reads',
    )
  })

  it.each([true, false])('that ends too early is refused, offsets %s', (logOffsets) => {
    const controller = new ScriptedController()
    const log = manyGroups(300).subarray(0, 5001)
    controller.replace['log c'] = (sent) => ({ data: logFrom(log, sent) })
    expect(() => drive(readAnaLog({ logOffsets }), controller)).toThrow(
      /the ANA log ends at 5000|ends before its last group/,
    )
    expect(controller.sent.length).toBeLessThan(12)
  })

  it('that is refused is an error with the status', () => {
    const controller = new ScriptedController()
    controller.replace['log c'] = () => ({ status: 0x109 | DNR })
    expect(() => drive(readAnaLog({ logOffsets: true }), controller)).toThrow(
      'Get Log Page of the ANA log failed: invalid log page (status 1/09h, do not retry)',
    )
  })
})

describe('the namespaces of a controller', () => {
  const after = ({ sqe }: Sent): number => new DataView(sqe.buffer, sqe.byteOffset).getUint32(4, true)

  it('are listed over as many lists as there are', () => {
    const controller = new ScriptedController()
    const all = Array.from({ length: 2500 }, (_, index) => 2 * index + 1)
    controller.replace['Identify 2'] = (sent) => {
      const rest = all.filter((nsid) => nsid > after(sent))
      return { data: namespaceList(...rest.slice(0, 1024)) }
    }
    expect(drive(activeNamespaces(), controller)).toEqual(all)
    expect(controller.sent).toHaveLength(3)
  })

  it('without end are refused', () => {
    const controller = new ScriptedController()
    controller.replace['Identify 2'] = (sent) => ({
      data: namespaceList(...Array.from({ length: 1024 }, (_, index) => after(sent) + index + 1)),
    })
    expect(() => drive(activeNamespaces(), controller)).toThrow('the controller tells of more than 16384 namespaces')
  })

  it('that come round again are refused', () => {
    const controller = new ScriptedController()
    controller.replace['Identify 2'] = () => ({
      data: namespaceList(...Array.from({ length: 1024 }, (_, index) => index + 1)),
    })
    expect(() => drive(activeNamespaces(), controller)).toThrow('a namespace list has 1 after 1024; NSIDs must ascend')
  })

  it('that changed are listed, or are too many to list', () => {
    const controller = new ScriptedController()
    controller.replace['log 4'] = () => ({ data: namespaceList(3, 9) })
    expect(drive(changedNamespaces(), controller)).toEqual([3, 9])
    controller.replace['log 4'] = () => ({ data: namespaceList(0xffff_ffff) })
    expect(drive(changedNamespaces(), controller)).toBeUndefined()
    expect(controller.sent.map(keepsEvent)).toEqual([false, false])
  })
})

describe('a namespace', () => {
  const uuid = Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index)

  function controllerOf(identify: Uint8Array, descriptors = descriptorBytes([3, uuid])): ScriptedController {
    const controller = new ScriptedController()
    controller.replace['Identify 0'] = () => ({ data: identify })
    controller.replace['Identify 3'] = () => ({ data: descriptors })
    return controller
  }

  it('is identified, who it is last', () => {
    const controller = controllerOf(namespaceBytes({ shift: 12 }))
    const facts = drive(readNamespace(7), controller)
    expect(facts).toMatchObject({ nsid: 7, volume: 'uuid.a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf' })
    expect(facts.namespace.blockShift).toBe(12)
    expect(controller.names).toEqual(['Identify 0', 'Identify 3'])
    expect(() => checkForm(facts)).not.toThrow()
  })

  it('that is not active is not found', () => {
    expect(() => drive(readNamespace(7), controllerOf(new Uint8Array(4096)))).toThrow(
      'namespace 7 is not active at this controller',
    )
  })

  it('of an old controller has the identity of Identify Namespace', () => {
    const controller = controllerOf(namespaceBytes({ nguid: uuid }))
    controller.replace['Identify 3'] = () => ({ status: 0x02 | DNR })
    expect(drive(readNamespace(7), controller).volume).toBe('eui.a0a1a2a3a4a5a6a7a8a9aaabacadaeaf')
    controller.replace['Identify 3'] = () => ({ status: 0x0b })
    expect(() => drive(readNamespace(7), controller)).toThrow('Identify of the descriptors of namespace 7 failed')
  })

  it('that was replaced while it was read is refused', () => {
    const other = Uint8Array.from({ length: 16 }, (_, index) => 1 + index)
    const controller = controllerOf(namespaceBytes({ nguid: uuid }), descriptorBytes([2, other]))
    expect(() => drive(readNamespace(7), controller)).toThrow('it changed while it was read')
  })

  it.each([
    [
      { metadata: 8 },
      'NOT_SUPPORTED',
      'namespace 7 has 8 bytes of metadata with each block; formats without are served',
    ],
    [{ shift: 8 }, 'NOT_SUPPORTED', 'namespace 7 has blocks of 2 ** 8 bytes; served are 512 to 65536'],
    [{ shift: 255 }, 'NOT_SUPPORTED', 'namespace 7 has blocks of 2 ** 255 bytes; served are 512 to 65536'],
    [{ blocks: 2 ** 44 }, 'TOO_LARGE', 'namespace 7 has 2 ** 53 bytes or more; the largest that is served is smaller'],
  ])('of a form that is not served is refused: %j', (form, code, message) => {
    const facts = drive(readNamespace(7), controllerOf(namespaceBytes(form)))
    expect(() => checkForm(facts)).toThrow(expect.objectContaining({ code, message }))
  })

  it('of another command set is refused', () => {
    const facts = drive(
      readNamespace(7),
      controllerOf(namespaceBytes(), descriptorBytes([3, uuid], [4, Uint8Array.of(2)])),
    )
    expect(() => checkForm(facts)).toThrow('namespace 7 is of I/O command set 2; NVM (0) is the one that is served')
  })

  it('with protection information is refused', () => {
    const bytes = namespaceBytes()
    bytes[29] = 1
    expect(() => checkForm(drive(readNamespace(7), controllerOf(bytes)))).toThrow(
      'namespace 7 has protection information of type 1; formats without are served',
    )
  })
})

describe('the discovery log', () => {
  function logOf(generation: number, count: number, told = count): Uint8Array {
    const records = Array.from({ length: count }, (_, index) => discoveryRecord({ port: index }))
    return Buffer.concat([discoveryHead(generation, told), ...records])
  }

  it('is read in pieces, and its generation again behind them', () => {
    const controller = new ScriptedController()
    controller.replace['log 70'] = (sent) => ({ data: logFrom(logOf(5, 9), sent) })
    const { generation, records } = drive(readDiscoveryLog(), controller)
    expect(generation).toBe('0000000000000005')
    expect(records.map(({ port }) => port)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(controller.sent.map(({ data }) => data)).toEqual([1024, 4096, 4096, 1024, 1024])
    expect(controller.sent.map(keepsEvent)).toEqual([true, true, true, true, false])
  })

  it('that is empty has no records', () => {
    const controller = new ScriptedController()
    controller.replace['log 70'] = (sent) => ({ data: logFrom(logOf(0, 0), sent) })
    expect(drive(readDiscoveryLog(), controller).records).toEqual([])
  })

  it('that changes while it is read is read anew', () => {
    const controller = new ScriptedController()
    controller.replace['log 70'] = (sent) => ({
      data: logFrom(controller.sent.length < 3 ? logOf(1, 2) : logOf(2, 3), sent),
    })
    expect(drive(readDiscoveryLog(), controller)).toMatchObject({ generation: '0000000000000002' })
    expect(controller.paused).toBe(50)
  })

  it('that changes without end is given up', () => {
    const controller = new ScriptedController()
    controller.replace['log 70'] = (sent) => ({ data: logFrom(logOf(controller.sent.length, 1), sent) })
    expect(() => drive(readDiscoveryLog(), controller)).toThrow('the discovery log changed during each of 10 reads')
  })

  it.each([
    ['with absurdly many records', logOf(1, 0, MAX_RECORDS + 1), 'tells of 4097 records; 4096 are read at most'],
    ['that ends before its records do', logOf(1, 2, 9), 'the discovery log has 2 records, and says 9'],
    ['of another format', Buffer.concat([logOf(1, 0).fill(1, 16, 17)]), 'has format 1; format 0 is known'],
  ])('%s is refused', (_name, log, message) => {
    const controller = new ScriptedController()
    controller.replace['log 70'] = (sent) => ({ data: logFrom(log, sent) })
    expect(() => drive(readDiscoveryLog(), controller)).toThrow(message)
  })
})
