import type { ErrorCode } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { LoginOptions, LoginResult } from '../../src/login/login.ts'
import type { Answer } from './support/answers.ts'
import { agree, noAuth, play, playDone } from './support/answers.ts'
import { blockErrorOf } from './support/fails.ts'

/** The result where the target agrees to all but `changes`. */
function outcome(changes: Record<string, string | undefined>, options: Partial<LoginOptions> = {}): LoginResult {
  return playDone(options, [noAuth, agree(changes)]).result
}

function refused(changes: Record<string, string>, options: Partial<LoginOptions>, code: ErrorCode): string {
  return blockErrorOf(() => play(options, [noAuth, agree(changes)]), code).message
}

describe('proposals', () => {
  it('of a normal session', () => {
    const { requests } = play({ headerDigest: ['CRC32C', 'None'], dataDigest: ['CRC32C'] }, [noAuth])
    expect(Object.fromEntries(requests[0]!.keys)).toEqual({
      InitiatorName: 'iqn.2026-11.io.blockbraid:test',
      SessionType: 'Normal',
      TargetName: 'iqn.2026-11.test:target',
      AuthMethod: 'None',
    })
    expect(Object.fromEntries(requests[1]!.keys)).toEqual({
      MaxRecvDataSegmentLength: '262144',
      HeaderDigest: 'CRC32C,None',
      DataDigest: 'CRC32C',
      InitialR2T: 'No',
      ImmediateData: 'Yes',
      FirstBurstLength: '262144',
      MaxBurstLength: '1048576',
      MaxOutstandingR2T: '1',
      MaxConnections: '1',
      DefaultTime2Wait: '0',
      DefaultTime2Retain: '0',
      ErrorRecoveryLevel: '0',
      DataPDUInOrder: 'Yes',
      DataSequenceInOrder: 'Yes',
    })
  })

  it('of a discovery session leave out what has no meaning there', () => {
    const { requests } = playDone({ targetName: undefined }, [{ next: 1, text: { AuthMethod: 'None' } }, agree()])
    expect(Object.fromEntries(requests[0]!.keys)).toEqual({
      InitiatorName: 'iqn.2026-11.io.blockbraid:test',
      SessionType: 'Discovery',
      AuthMethod: 'None',
    })
    expect([...requests[1]!.keys.keys()]).toEqual([
      'MaxRecvDataSegmentLength',
      'HeaderDigest',
      'DataDigest',
      'DefaultTime2Wait',
      'DefaultTime2Retain',
      'ErrorRecoveryLevel',
    ])
  })
})

describe('answers', () => {
  const digests: Partial<LoginOptions> = { headerDigest: ['CRC32C', 'None'], dataDigest: ['None', 'CRC32C'] }

  it('agreed to all', () => {
    const first = { ...noAuth, text: { AuthMethod: 'None', TargetPortalGroupTag: '7', TargetAlias: 'disks' } }
    const declares = agree({ MaxRecvDataSegmentLength: '0x20000' })
    expect(playDone(digests, [first, declares]).result).toEqual({
      tsih: 0x1234,
      statSn: 1001,
      cmdSn: 1,
      expCmdSn: 1,
      maxCmdSn: 64,
      headerDigest: true,
      dataDigest: false,
      immediateData: true,
      initialR2T: false,
      firstBurstLength: 262_144,
      maxBurstLength: 1_048_576,
      maxSendSegment: 131_072,
      maxOutstandingR2T: 1,
      time2Wait: 0,
      time2Retain: 0,
      targetPortalGroupTag: 7,
      targetAlias: 'disks',
    })
  })

  it.each<[Record<string, string>, Partial<LoginOptions>, Partial<LoginResult>]>([
    [{ HeaderDigest: 'None' }, digests, { headerDigest: false }],
    [{ DataDigest: 'CRC32C' }, digests, { dataDigest: true }],
    [{ InitialR2T: 'Yes' }, {}, { initialR2T: true }],
    [{ InitialR2T: 'Yes' }, { initialR2T: true }, { initialR2T: true }],
    [{ ImmediateData: 'No' }, {}, { immediateData: false }],
    [{ ImmediateData: 'No' }, { immediateData: false }, { immediateData: false }],
    [{ FirstBurstLength: '512' }, {}, { firstBurstLength: 512 }],
    [{ MaxBurstLength: '65536' }, {}, { maxBurstLength: 65_536, firstBurstLength: 65_536 }],
    [{ MaxOutstandingR2T: '3' }, { maxOutstandingR2T: 8 }, { maxOutstandingR2T: 3 }],
    [{ DefaultTime2Wait: '3600' }, {}, { time2Wait: 3600 }],
  ])('%j', (changes, options, result) => {
    expect(outcome(changes, options)).toMatchObject(result)
  })

  it.each<[Record<string, string>, Partial<LoginOptions>]>([
    [{ HeaderDigest: 'CRC32C' }, {}],
    [{ HeaderDigest: 'CRC32C,None' }, digests],
    [{ HeaderDigest: 'crc32c' }, digests],
    [{ HeaderDigest: '' }, digests],
    [{ InitialR2T: 'No' }, { initialR2T: true }],
    [{ InitialR2T: 'yes' }, {}],
    [{ ImmediateData: 'Yes' }, { immediateData: false }],
    [{ FirstBurstLength: '262145' }, {}],
    [{ FirstBurstLength: '511' }, {}],
    [{ FirstBurstLength: '-1' }, {}],
    [{ FirstBurstLength: '4k' }, {}],
    [{ FirstBurstLength: '512~1024' }, {}],
    [{ MaxBurstLength: '1048577' }, {}],
    [{ MaxBurstLength: '0' }, {}],
    [{ MaxOutstandingR2T: '0' }, {}],
    [{ MaxOutstandingR2T: '2' }, {}],
    [{ MaxConnections: '2' }, {}],
    [{ DefaultTime2Wait: '3601' }, {}],
    [{ DefaultTime2Retain: '20' }, {}],
    [{ ErrorRecoveryLevel: '1' }, {}],
    [{ DataPDUInOrder: 'No' }, {}],
    [{ DataSequenceInOrder: 'No' }, {}],
    [{ MaxRecvDataSegmentLength: '511' }, {}],
    [{ MaxRecvDataSegmentLength: '16777216' }, {}],
    [{ MaxRecvDataSegmentLength: 'Reject' }, {}],
    [{ TargetPortalGroupTag: '65536' }, {}],
    [{ TargetPortalGroupTag: '2' }, {}], // 1 before
  ])('refuses %j', (changes, options) => {
    expect(refused(changes, options, 'PROTOCOL')).toContain(Object.keys(changes)[0]!)
  })

  it.each<Record<string, string>>([
    { InitiatorName: 'iqn.x' },
    { InitiatorAlias: 'x' },
    { SessionType: 'Normal' },
    { TargetName: 'iqn.x' },
    { SendTargets: 'All' },
    { TaskReporting: 'Reject' },
    { iSCSIProtocolLevel: 'Irrelevant' },
    { 'X-org.example': 'NotUnderstood' },
  ])('refuses %j, at whatever time', (text) => {
    for (const script of [[{ text }], [noAuth, { text }], [noAuth, { next: 3, text }]]) {
      const error = blockErrorOf(() => play({}, script), 'PROTOCOL')
      expect(error.message).toContain(Object.keys(text)[0]!)
    }
  })

  it.each(['Irrelevant', 'NotUnderstood', 'Reject', undefined])(
    '%s leads to defaults within our proposals',
    (value) => {
      const keys = ['InitialR2T', 'ImmediateData', 'FirstBurstLength', 'MaxBurstLength', 'MaxOutstandingR2T']
      const more = ['MaxConnections', 'DefaultTime2Wait', 'DefaultTime2Retain', 'ErrorRecoveryLevel', 'DataPDUInOrder']
      const changes = Object.fromEntries([...keys, ...more, 'HeaderDigest', 'DataDigest'].map((key) => [key, value]))
      expect(outcome(changes, { ...digests, maxOutstandingR2T: 4 })).toMatchObject({
        headerDigest: false,
        dataDigest: false,
        initialR2T: true,
        immediateData: true,
        firstBurstLength: 65_536,
        maxBurstLength: 262_144,
        maxOutstandingR2T: 1,
        maxSendSegment: 8192,
        time2Wait: 2,
        time2Retain: 0,
      })
      const small = { immediateData: false, firstBurstLength: 4096, maxBurstLength: 8192 }
      expect(outcome(changes, small)).toMatchObject(small)
    },
  )

  it.each(['Irrelevant', 'NotUnderstood', 'Reject', 'None', undefined])(
    '%s does not do away with a digest',
    (value) => {
      const options: Partial<LoginOptions> = { dataDigest: ['CRC32C'] }
      const error = blockErrorOf(() => outcome({ DataDigest: value }, options), 'NOT_SUPPORTED')
      expect(error.message).toContain('DataDigest=CRC32C')
    },
  )

  it('a declaration may come again with the same value', () => {
    const text = { AuthMethod: 'None', TargetPortalGroupTag: '1', MaxRecvDataSegmentLength: '4096', TargetAlias: 'a' }
    const again = { TargetPortalGroupTag: '1', MaxRecvDataSegmentLength: '4096', TargetAlias: 'a' }
    expect(playDone({}, [{ next: 1, text }, agree(again)]).result.maxSendSegment).toBe(4096)
  })

  it.each([
    ['MaxRecvDataSegmentLength', '8192'],
    ['TargetAlias', 'b'],
    ['TargetPortalGroupTag', '2'],
  ])('refuses %s with another value', (key, value) => {
    const text = { TargetPortalGroupTag: '1', MaxRecvDataSegmentLength: '4096', TargetAlias: 'a' }
    blockErrorOf(() => play({}, [{ next: 1, text }, agree({ [key]: value })]), 'PROTOCOL')
  })

  it('refuses a second answer to a key', () => {
    const twice: Answer[] = [noAuth, { text: { ImmediateData: 'Yes' } }, { text: { ImmediateData: 'Yes' } }]
    blockErrorOf(() => play({}, twice), 'PROTOCOL')
  })

  it('makes an alias fit for a terminal', () => {
    expect(outcome({ TargetAlias: 'a\u001b[2Jb' }).targetAlias).toBe('a\ufffd[2Jb')
  })
})

describe("the target's own proposals", () => {
  /** Our answers to `text`, sent by the target before we proposed anything. */
  function answersTo(text: Record<string, string>, options: Partial<LoginOptions> = {}) {
    const { requests, result } = playDone(options, [
      { ...noAuth, text: { AuthMethod: 'None', ...text } },
      agreeRest(text),
    ])
    const answers = Object.fromEntries([...requests[1]!.keys].filter(([key]) => key in text))
    return { answers, result }
  }

  /** Agrees to what is not settled by `text`. */
  function agreeRest(text: Record<string, string>) {
    return agree(Object.fromEntries(Object.keys(text).map((key) => [key, undefined])))
  }

  it('are answered by the function of the key, and not brought up again', () => {
    const text = {
      HeaderDigest: 'X-own,CRC32C,None',
      InitialR2T: 'Yes',
      ImmediateData: 'No',
      FirstBurstLength: '0x1000',
      MaxBurstLength: '16777215',
      MaxOutstandingR2T: '16',
      MaxConnections: '4',
      DefaultTime2Wait: '5',
      DefaultTime2Retain: '60',
      ErrorRecoveryLevel: '2',
      DataPDUInOrder: 'No',
      TaskReporting: 'FastAbort,RFC3720',
      iSCSIProtocolLevel: '2',
    }
    const { answers, result } = answersTo(text, { headerDigest: ['None', 'CRC32C'] })
    expect(answers).toEqual({
      HeaderDigest: 'CRC32C',
      InitialR2T: 'Yes',
      ImmediateData: 'No',
      FirstBurstLength: '4096',
      MaxBurstLength: '1048576',
      MaxOutstandingR2T: '1',
      MaxConnections: '1',
      DefaultTime2Wait: '5',
      DefaultTime2Retain: '0',
      ErrorRecoveryLevel: '0',
      DataPDUInOrder: 'Yes',
      TaskReporting: 'RFC3720',
      iSCSIProtocolLevel: '1',
    })
    expect(result).toMatchObject({
      headerDigest: true,
      initialR2T: true,
      immediateData: false,
      firstBurstLength: 4096,
      maxBurstLength: 1_048_576,
      time2Wait: 5,
    })
  })

  it('that lead to nothing are rejected, and the default stands', () => {
    const text = { DataDigest: 'X-own', TaskReporting: 'FastAbort', FirstBurstLength: '1', InitialR2T: 'Perhaps' }
    const { answers, result } = answersTo(text)
    expect(answers).toEqual({
      DataDigest: 'Reject',
      TaskReporting: 'Reject',
      FirstBurstLength: 'Reject',
      InitialR2T: 'Reject',
    })
    expect(result).toMatchObject({ dataDigest: false, firstBurstLength: 65_536, initialR2T: true })
  })

  it('a digest that the options insist on', () => {
    blockErrorOf(() => answersTo({ DataDigest: 'None' }, { dataDigest: ['CRC32C'] }), 'NOT_SUPPORTED')
  })

  it('obsolete and unknown keys', () => {
    const text = { IFMarker: 'No', OFMarkInt: '1~2', 'X-org.example.a': '1', RDMAExtensions: 'Yes' }
    expect(answersTo(text).answers).toEqual({
      IFMarker: 'Reject',
      OFMarkInt: 'Reject',
      'X-org.example.a': 'NotUnderstood',
      RDMAExtensions: 'NotUnderstood',
    })
  })

  it('refuses an unknown key that comes again', () => {
    blockErrorOf(() => play({}, [noAuth, { text: { X: '1' } }, { text: { X: '1' } }]), 'PROTOCOL')
  })

  it('in a discovery session', () => {
    const text = { InitialR2T: 'Yes', MaxConnections: '1', ErrorRecoveryLevel: '1' }
    expect(answersTo(text, { targetName: undefined }).answers).toEqual({
      InitialR2T: 'Irrelevant',
      MaxConnections: 'Irrelevant',
      ErrorRecoveryLevel: '0',
    })
  })

  it('refuses one that comes with the end of the login', () => {
    blockErrorOf(() => play({}, [noAuth, { next: 3, text: { TaskReporting: 'RFC3720' } }]), 'PROTOCOL')
    blockErrorOf(() => play({}, [noAuth, { next: 3, text: { X: '1' } }]), 'PROTOCOL')
  })

  it('answers one that comes during the operational stage', () => {
    const { requests } = playDone({}, [noAuth, { text: { TaskReporting: 'RFC3720' } }, { next: 3 }])
    expect([...requests[2]!.keys]).toEqual([['TaskReporting', 'RFC3720']])
    expect(requests[2]).toMatchObject({ stage: 1, transit: true, next: 3 })
  })
})
