import { describe, expect, it } from 'vitest'
import type { IscsiArrayOptions } from '../src/index.ts'
import { createIscsiArray } from '../src/index.ts'
import { bed, HeldDevice, VOLUME } from './beds.ts'
import { LoginRefused, RawInitiator, TARGET, textOf } from './initiator.ts'

const USER = { user: 'alice', secret: 'wonderland-12' }

async function refusal(promise: Promise<unknown>): Promise<number> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof LoginRefused) return error.status
  throw new Error(`no refusal but ${String(error)}`)
}

describe('login', () => {
  it('agrees on keys, gives a TSIH and the portal group', async () => {
    const { array, login } = await bed({ alias: 'the array' })
    const initiator = await login()
    expect(initiator.tsih).toBeGreaterThan(0)
    expect(initiator.keys).toMatchObject({
      TargetPortalGroupTag: '1',
      TargetAlias: 'the array',
      HeaderDigest: 'None',
      InitialR2T: 'No',
      ImmediateData: 'Yes',
      MaxRecvDataSegmentLength: '262144',
    })
    expect(array.sessions).toMatchObject([
      { tsih: initiator.tsih, isid: '400000000001', portal: 0, discovery: false, inflight: 0 },
    ])
    expect(array.counters.logins).toBe(1)
  })

  it.each<[string, Partial<IscsiArrayOptions>, Record<string, string>, Record<string, string>]>([
    ['digests: first of the offered that is served', {}, { HeaderDigest: 'CRC32C,None' }, { HeaderDigest: 'CRC32C' }],
    ['digests: the only one served', { dataDigest: ['None'] }, { DataDigest: 'CRC32C,None' }, { DataDigest: 'None' }],
    ['digests: none in common', { dataDigest: ['None'] }, { DataDigest: 'CRC32C' }, { DataDigest: 'Reject' }],
    ['InitialR2T: or', { initialR2T: true }, { InitialR2T: 'No' }, { InitialR2T: 'Yes' }],
    ['InitialR2T: or', {}, { InitialR2T: 'Yes' }, { InitialR2T: 'Yes' }],
    ['ImmediateData: and', { immediateData: false }, { ImmediateData: 'Yes' }, { ImmediateData: 'No' }],
    ['ImmediateData: and', {}, { ImmediateData: 'No' }, { ImmediateData: 'No' }],
    ['bursts: the smaller', { maxBurstLength: 4096 }, { MaxBurstLength: '65536' }, { MaxBurstLength: '4096' }],
    ['bursts: the smaller', {}, { FirstBurstLength: '512' }, { FirstBurstLength: '512' }],
    ['bursts: the first no longer than any', {}, { MaxBurstLength: '8192' }, { FirstBurstLength: '8192' }],
    ['R2Ts: the smaller', { maxOutstandingR2T: 3 }, { MaxOutstandingR2T: '9' }, { MaxOutstandingR2T: '3' }],
    ['numbers: hex', {}, { MaxBurstLength: '0x1000' }, { MaxBurstLength: '4096' }],
    ['numbers: out of range', {}, { MaxBurstLength: '100' }, { MaxBurstLength: 'Reject' }],
    ['recovery: none', {}, { ErrorRecoveryLevel: '2' }, { ErrorRecoveryLevel: '0' }],
    ['order: always', {}, { DataPDUInOrder: 'No' }, { DataPDUInOrder: 'Yes' }],
    ['connections: one', {}, { MaxConnections: '8' }, { MaxConnections: '1' }],
    ['markers: obsolete', {}, { IFMarker: 'Yes', OFMarkInt: '1~2' }, { IFMarker: 'No', OFMarkInt: 'Reject' }],
    ['RFC 7144', {}, { iSCSIProtocolLevel: '2', TaskReporting: 'FastAbort,RFC3720' }, { iSCSIProtocolLevel: '1' }],
    ['unknown', {}, { 'X-com.example.key': '1' }, { 'X-com.example.key': 'NotUnderstood' }],
  ])('%s', async (_name, options, offered, agreed) => {
    const { login } = await bed(options)
    expect((await login({ keys: offered })).keys).toMatchObject(agreed)
  })

  it('offers by itself what the initiator has left at a wider default', async () => {
    const { array, login } = await bed({ immediateData: false, firstBurstLength: 1024, maxBurstLength: 2048 })
    const initiator = await login({ without: ['ImmediateData', 'FirstBurstLength', 'MaxBurstLength'] })
    expect(initiator.keys).toMatchObject({ ImmediateData: 'No', FirstBurstLength: '1024', MaxBurstLength: '2048' })
    expect(array.sessions).toMatchObject([{ immediateData: false, firstBurstLength: 1024, maxBurstLength: 2048 }])
  })

  it('goes on over several PDUs, both ways', async () => {
    const { login } = await bed({ loginSegment: 7 })
    const initiator = await login({ segment: 11 })
    expect(initiator.keys).toMatchObject({ TargetPortalGroupTag: '1', MaxBurstLength: '262144' })
  })

  it('reads a login cut at every byte', async () => {
    const { array } = await bed()
    const { port } = array.portals[0]!
    const keys = { InitiatorName: 'iqn.2026-11.io.blockbraid:cut', TargetName: TARGET, SessionType: 'Normal' }
    const bhs = Buffer.alloc(48)
    bhs[0] = 0x43
    bhs[1] = 0x87
    const whole = RawInitiator.prototype.encode.call({ headerDigest: false, dataDigest: false }, bhs, textOf(keys))
    for (let at = 1; at < whole.length; at += 1) {
      const initiator = await RawInitiator.dial(port)
      initiator.socket.write(whole.subarray(0, at))
      await new Promise((resolve) => setImmediate(resolve))
      initiator.socket.write(whole.subarray(at))
      const answer = await initiator.next()
      expect([answer.opcode, answer.bhs.readUInt16BE(36), answer.flags], `cut at ${at}`).toEqual([0x23, 0, 0x87])
      initiator.close()
    }
  })

  it.each([
    ['a name that is not there', { target: 'iqn.2026-11.io.blockbraid:other' }, 0x0203],
    ['no initiator name', { name: 'nobody' }, 0x0200],
  ])('refuses %s', async (_name, options, status) => {
    const { login } = await bed()
    expect(await refusal(login(options))).toBe(status)
  })

  it('refuses a login without names, an unknown session, a version, a stage that goes back', async () => {
    const { array } = await bed()
    const { port } = array.portals[0]!
    const names = { InitiatorName: 'iqn.2026-11.io.blockbraid:x', TargetName: TARGET }
    const tries: [string, (bhs: Buffer) => void, Record<string, string>, number][] = [
      ['no InitiatorName', () => {}, { TargetName: TARGET }, 0x0207],
      ['no TargetName', () => {}, { InitiatorName: 'iqn.2026-11.io.blockbraid:x' }, 0x0207],
      ['session type', () => {}, { ...names, SessionType: 'Odd' }, 0x0209],
      ['TSIH', (bhs) => bhs.writeUInt16BE(77, 14), names, 0x020a],
      ['version', (bhs) => bhs.writeUInt8(1, 3), names, 0x0205],
      ['next stage 2', (bhs) => bhs.writeUInt8(0x86, 1), names, 0x0200],
      ['stage 3', (bhs) => bhs.writeUInt8(0x0c, 1), names, 0x0200],
      ['a key twice', () => {}, { ...names, 'InitialR2T=No\0InitialR2T': 'No' }, 0x0200],
    ]
    for (const [what, change, keys, status] of tries) {
      const initiator = await RawInitiator.dial(port)
      const bhs = Buffer.alloc(48)
      bhs[0] = 0x43
      bhs[1] = 0x87
      change(bhs)
      initiator.send(bhs, textOf(keys))
      expect((await initiator.next()).bhs.readUInt16BE(36), what).toBe(status)
      await initiator.gone()
    }
    expect(array.counters.logins).toBe(0)
  })

  it('ends a login that takes too long, and one that begins with another PDU', async () => {
    const { array } = await bed({ loginTimeout: 50 })
    const { port } = array.portals[0]!
    await (await RawInitiator.dial(port)).gone()
    const other = await RawInitiator.dial(port)
    other.send(Buffer.alloc(48))
    await other.gone()
    expect(array.violations).toEqual(['nopOut during the login'])
  })

  it('names a wrong option', async () => {
    await expect(createIscsiArray({ name: 'x' })).rejects.toThrow('name is "x"')
    await expect(createIscsiArray({ name: TARGET, window: 0 })).rejects.toThrow('window is 0')
    await expect(createIscsiArray({ name: TARGET, portals: [] })).rejects.toThrow('portals')
  })

  const device = new HeldDevice()
  it.each<[string, Partial<IscsiArrayOptions>]>([
    ['alua is "all"; it must be one of none, implicit, explicit, both', { alua: 'all' as never }],
    ['reinstate is "never"; it must be one of true, false, lazy', { reinstate: 'never' as never }],
    ['headerDigest is [MD5]; it must be a list of None, CRC32C', { headerDigest: ['MD5' as never] }],
    ['dataDigest is []; it must be a list of None, CRC32C', { dataDigest: [] }],
    ['chap.secret is undefined; it must be a text that is not empty', { chap: { user: 'alice' } as never }],
    ['chap.target.user is ""', { chap: { user: 'a', secret: 'b', target: { user: '', secret: 'c' } } }],
    ['chap.algorithms is [md4]', { chap: { user: 'a', secret: 'b', algorithms: ['md4' as never] } }],
    ['portals[1].port is 70000', { portals: [{}, { port: 70_000 }] }],
    ['luns[0].volume is "x"', { luns: [{ volume: 'x' as never, device }] }],
    ['luns[0].device is undefined; it must be a block device', { luns: [{ volume: VOLUME } as never] }],
    ['or one for portal 1', { portals: [{}, {}], luns: [{ volume: VOLUME, device: [device] }] }],
    ['luns[0].access is "best"', { luns: [{ volume: VOLUME, device, access: 'best' as never }] }],
    [
      'luns[0].portals is 1; it must be a whole number from 0 to 0',
      { luns: [{ volume: VOLUME, device, portals: [1] }] },
    ],
    [
      'luns[1].lun is 0; it must be one that portal 0 does not have yet',
      {
        luns: [
          { volume: VOLUME, device },
          { lun: 0, volume: VOLUME, device },
        ],
      },
    ],
  ])('says that %s', async (words, options) => {
    await expect(createIscsiArray({ name: TARGET, ...options })).rejects.toThrow(words)
  })

  it('says what is wrong with what it is told later', async () => {
    const { array } = await bed()
    await expect(array.map({ volume: 'x' as never, device })).rejects.toThrow('lun.volume is "x"')
    await expect(array.unmap(0, [3])).rejects.toThrow('portals is 3')
    expect(() => array.setAccess({ portal: 3 }, 'standby')).toThrow('where.portal is 3')
    expect(() => array.setAccess({}, 'best' as never)).toThrow('access is "best"')
  })
})

describe('CHAP', () => {
  it.each(['5', '6', '7', '8', '8,7,6,5'])('with algorithms %s', async (algorithms) => {
    const { login } = await bed({ chap: USER })
    const initiator = await login({ chap: { ...USER, algorithms } })
    expect(initiator.keys['CHAP_A']).toBe(algorithms[0])
    expect((await initiator.command(Buffer.alloc(6))).status).toBe(2)
  })

  it('takes the first algorithm that is allowed', async () => {
    const { login } = await bed({ chap: { ...USER, algorithms: ['sha256'] } })
    expect((await login({ chap: { ...USER, algorithms: '8,7,5' } })).keys['CHAP_A']).toBe('7')
    expect(await refusal(login({ chap: { ...USER, algorithms: '5' } }))).toBe(0x0201)
  })

  it('proves the array, too', async () => {
    const mutual = { user: 'array', secret: 'looking-glass-1' }
    const { login } = await bed({ chap: { ...USER, target: mutual } })
    await login({ chap: { ...USER, algorithms: '7', mutual } })
    const wrong = login({ chap: { ...USER, algorithms: '7', mutual: { ...mutual, secret: 'another-one-99' } } })
    await expect(wrong).rejects.toThrow('did not prove itself')
  })

  it.each([
    ['a wrong secret', { ...USER, secret: 'wonderland-13', algorithms: '7' }],
    ['another user', { ...USER, user: 'bob', algorithms: '7' }],
    ['a proof the array has no secret for', { ...USER, algorithms: '7', mutual: USER }],
  ])('refuses %s', async (_name, chap) => {
    const { login, array } = await bed({ chap: USER })
    expect(await refusal(login({ chap }))).toBe(0x0201)
    expect(array.sessions).toEqual([])
  })

  it('refuses its own challenge', async () => {
    const { login } = await bed({ chap: { ...USER, target: { user: 'array', secret: 'looking-glass-1' } } })
    const chap = { ...USER, algorithms: '7', mutual: { user: 'array', secret: 'looking-glass-1', reflect: true } }
    expect(await refusal(login({ chap }))).toBe(0x0201)
  })

  it('refuses a login that leaves security out', async () => {
    const { login } = await bed({ chap: USER })
    expect(await refusal(login())).toBe(0x0201)
    expect(await refusal(login({ discovery: true }))).toBe(0x0201)
  })

  it('may leave discovery open', async () => {
    const { login } = await bed({ chap: USER, discoveryChap: false })
    expect((await (await login({ discovery: true })).text({ SendTargets: 'All' })).text).toContain(TARGET)
  })

  it('agrees on None where nobody asks', async () => {
    const { login } = await bed()
    const initiator = await login({ chap: { ...USER, algorithms: '7' } })
    expect(initiator.keys['AuthMethod']).toBe('None')
  })
})

describe('discovery', () => {
  it('tells all portals, in pieces where need be', async () => {
    const portals = Array.from({ length: 40 }, (_, n) => ({ group: (n % 3) + 1 }))
    const { array, login } = await bed({ portals })
    const initiator = await login({ discovery: true, keys: { MaxRecvDataSegmentLength: '512' } })
    const { text, pdus } = await initiator.text({ SendTargets: 'All' })
    const addresses = array.portals.map(({ address, group }) => `TargetAddress=${address},${group}`)
    expect(text.split('\0').filter(Boolean)).toEqual([`TargetName=${TARGET}`, ...addresses])
    expect(pdus).toBeGreaterThan(2)
    expect(await initiator.logout()).toBe(0)
    expect(array.counters.logouts).toBe(1)
  })

  it('tells what it is told to tell, as where a proxy stands before a portal', async () => {
    const { array, login } = await bed()
    array.portals[0]!.advertised = '192.0.2.7:3260'
    const { text } = await (await login({ discovery: true })).text({ SendTargets: 'All' })
    expect(text).toContain('TargetAddress=192.0.2.7:3260,1\0')
  })

  it('answers for one target, for another, and in a normal session', async () => {
    const { login } = await bed()
    const discovery = await login({ discovery: true })
    expect((await discovery.text({ SendTargets: TARGET })).text).toContain('TargetAddress=')
    expect((await discovery.text({ SendTargets: 'iqn.2026-11.io.blockbraid:other' })).text).toBe('')
    expect((await discovery.text({ Other: '1' })).text).toBe('Other=NotUnderstood\0')
    const normal = await login()
    expect((await normal.text({ SendTargets: '' })).text).toContain(TARGET)
    expect((await normal.text({ SendTargets: 'All' })).text).toBe('SendTargets=Reject\0')
  })

  it('takes no SCSI command', async () => {
    const { array, login } = await bed()
    const discovery = await login({ discovery: true })
    discovery.begin(Buffer.alloc(6))
    await discovery.gone()
    expect(array.violations).toHaveLength(1)
  })
})

describe('faults of a login', () => {
  it('refuses so many, then no more', async () => {
    const { array, login } = await bed()
    const rule = array.faults.login({ action: 'refuse', status: 0x0302, count: 2, discovery: false })
    expect(await refusal(login())).toBe(0x0302)
    await login({ discovery: true })
    expect(await refusal(login())).toBe(0x0302)
    await login()
    expect(rule.hits).toBe(2)
  })

  it('moves the target', async () => {
    const { array, login } = await bed()
    const { address } = array.portals[0]!
    array.faults.login({ action: 'refuse', status: 0x0101, address: `${address},1`, count: 1 })
    const error = await login().catch((reason: unknown) => reason)
    expect(error).toMatchObject({ status: 0x0101, keys: { TargetAddress: `${address},1` } })
    await login()
  })

  it('never ends, or never answers', async () => {
    const { array, login } = await bed({ loginTimeout: 200 })
    const rule = array.faults.login({ action: 'endless' })
    await expect(login()).rejects.toThrow('does not end')
    rule.remove()
    array.faults.login({ action: 'mute', count: 1 })
    await expect(login()).rejects.toThrow('has ended')
    await login()
  })
})
