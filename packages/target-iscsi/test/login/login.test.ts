import { describe, expect, it } from 'vitest'
import { Login } from '../../src/login/login.ts'
import type { Answer, Line, Request } from './support/answers.ts'
import { agree, encodeAnswer, isid, noAuth, plain, play, playDone, readRequest } from './support/answers.ts'
import { blockErrorOf } from './support/fails.ts'

function shape({ stage, transit, next, more, text }: Request): string {
  return `${stage}${transit ? `>${next}` : ''}${more ? ' more' : ''}${text.length === 0 ? ' empty' : ''}`
}

/** `line` cut into pieces of `size` bytes, all but the last with the C bit. */
function inPieces(line: (request: Request) => Answer, size: number, request: Request): Answer[] {
  const answer = line(request)
  const text = encodeAnswer(answer, request)[1]
  const pieces: Answer[] = []
  for (let at = 0; at < text.length; at += size) {
    const last = at + size >= text.length
    const piece = { text: text.subarray(at, at + size) }
    pieces.push(last ? { ...answer, ...piece } : { ...piece, more: true })
  }
  return pieces
}

describe('stages', () => {
  it('no authentication: two exchanges', () => {
    const { requests } = playDone({}, [noAuth, agree()])
    expect(requests.map(shape)).toEqual(['0>1', '1>3'])
  })

  it('a target that says nothing of AuthMethod, and nothing at all', () => {
    const { requests } = playDone({}, [{ next: 1 }, { next: 3 }])
    expect(requests.map(shape)).toEqual(['0>1', '1>3'])
  })

  it('a target that takes extra rounds', () => {
    const script: Answer[] = [{}, { text: { AuthMethod: 'None' } }, { next: 1 }, {}, { next: 3 }]
    const { requests } = playDone({}, script)
    expect(requests.map(shape)).toEqual(['0>1', '0>1 empty', '0>1 empty', '1>3', '1>3 empty'])
  })

  it('operational keys within the security stage', () => {
    const text = { AuthMethod: 'None', ImmediateData: 'No', MaxRecvDataSegmentLength: '4096' }
    const { requests, result } = playDone({}, [{ next: 1, text }, agree({ ImmediateData: undefined })])
    expect(requests[1]!.keys.get('ImmediateData')).toBe('No')
    expect(result).toMatchObject({ immediateData: false, maxSendSegment: 4096 })
  })

  it('every request carries the same numbers, and acknowledges the last answer', () => {
    const lines: Line[] = [
      { ...noAuth, statSn: 0xffff_fffe },
      { statSn: 0xffff_ffff },
      { next: 3, statSn: 0, tsih: 0xfffe, expCmdSn: 1, maxCmdSn: 17 },
    ]
    const { requests, result } = playDone({}, lines)
    for (const request of requests) {
      expect(request).toMatchObject({ tsih: 0, itt: 0, cid: 0, cmdSn: 1 })
      expect([...request.isid]).toEqual([...isid])
    }
    expect(requests.map(({ expStatSn }) => expStatSn)).toEqual([0, 0xffff_ffff, 0])
    expect(result).toMatchObject({ tsih: 0xfffe, statSn: 1, cmdSn: 1, expCmdSn: 1, maxCmdSn: 17 })
  })

  it.each<[string, Line[]]>([
    ['another stage', [{ ...noAuth, stage: 1 }]],
    ['the old stage', [noAuth, { stage: 0 }]],
    ['stage 2', [{ stage: 2 }]],
    ['a leap over the operational stage', [{ next: 3 }]],
    ['a step back', [noAuth, { next: 0 }]],
    ['a step on the spot', [noAuth, { next: 1 }]],
    ['a step to the reserved stage', [noAuth, { next: 2 }]],
    ['a step with more text to come', [{ ...noAuth, more: true }]],
    ['a session without a handle', [noAuth, { next: 3, tsih: 0 }]],
    ['another ISID', [{ ...noAuth, isid: Uint8Array.of(0x80, 1, 2, 3, 4, 6) }]],
    ['another task tag', [{ ...noAuth, itt: 7 }]],
    ['another version', [{ ...noAuth, version: 1 }]],
    ['a text response', [{ ...noAuth, opcode: 0x24 }]],
    ['a login request', [{ ...noAuth, opcode: 0x03 }]],
    ['a reject', [{ opcode: 0x3f }]],
    ['text shorter than announced', [{ ...noAuth, length: 200 }]],
    ['a text that is none', [{ next: 1, text: Buffer.from('hello') }]],
    ['a key that comes twice', [{ next: 1, text: Buffer.from('AuthMethod=None\0AuthMethod=None\0') }]],
  ])('refuses %s', (_what, script) => {
    blockErrorOf(() => play({}, script), 'PROTOCOL')
  })

  it('refuses to leave a stage unasked', () => {
    const chap = { user: 'u', secret: 's', algorithms: ['sha256' as const] }
    blockErrorOf(() => play({ chap }, [{ next: 1, text: { AuthMethod: 'None' } }]), 'PROTOCOL')
  })

  it('takes data with its padding', () => {
    const login = new Login(plain)
    const request = readRequest(login.start())
    const [bhs, data] = encodeAnswer({ next: 1, text: { AuthMethod: 'None', TargetAlias: 'x' } }, request)
    const padded = Buffer.concat([data, Buffer.alloc(3, 0x41)])
    expect(login.receive(bhs, padded).kind).toBe('send')
  })

  it('is over after an error, after its end, and before its start', () => {
    const login = new Login(plain)
    const request = readRequest(new Login(plain).start())
    const good = encodeAnswer(noAuth, request)
    blockErrorOf(() => login.receive(...good), 'PROTOCOL')
    login.start()
    blockErrorOf(() => login.receive(...encodeAnswer({ status: 0x0203 }, request)), 'NOT_FOUND')
    blockErrorOf(() => login.receive(...good), 'PROTOCOL')
    const done = new Login(plain)
    done.start()
    done.receive(...good)
    expect(done.receive(...encodeAnswer({ next: 3 }, { ...request, stage: 1 })).kind).toBe('done')
    blockErrorOf(() => done.receive(...encodeAnswer({ next: 3 }, { ...request, stage: 1 })), 'PROTOCOL')
  })

  it('names an ISID of a wrong length', () => {
    expect(() => new Login({ ...plain, isid: new Uint8Array(8) })).toThrow(/isid: 8 bytes/)
  })
})

describe('text in pieces', () => {
  it("the target's, cut anywhere", () => {
    const last = agree({ MaxRecvDataSegmentLength: '65536', HeaderDigest: 'CRC32C' })
    const options = { headerDigest: ['CRC32C' as const] }
    const whole = playDone(options, [noAuth, last])
    const size = encodeAnswer(last(whole.requests[1]!), whole.requests[1]!)[1].length
    for (let cut = 12; cut <= size; cut++) {
      const pieces = inPieces(last, cut, whole.requests[1]!)
      const { requests, result } = playDone(options, [noAuth, ...pieces])
      expect(result, `pieces of ${cut} bytes`).toEqual(whole.result)
      expect(requests.slice(2).map(shape)).toEqual(Array(pieces.length - 1).fill('1>3 empty'))
    }
  })

  it('copies a piece: the buffer of the last one may be used again', () => {
    const login = new Login(plain)
    const request = readRequest(login.start())
    const [bhs, piece] = encodeAnswer({ more: true, text: Buffer.from('AuthMeth') }, request)
    login.receive(bhs, piece)
    piece.fill(0)
    const [bhs2, rest] = encodeAnswer({ next: 1, text: Buffer.from('od=None\0') }, request)
    const step = login.receive(bhs2, rest)
    if (step.kind !== 'send') throw new Error(step.kind)
    expect(shape(readRequest(step.pdu))).toBe('1>3')
    expect([...readRequest(step.pdu).keys.values()]).not.toContain('NotUnderstood')
  })

  it('ours, when it is longer than a target takes', () => {
    const names = Array.from({ length: 1000 }, (_, i) => `X-${i}`)
    const asks: Answer = { text: Object.fromEntries(names.map((name) => [name, ''])) }
    const { requests } = playDone({}, [noAuth, asks, {}, {}, { next: 3 }])
    const sent = requests.slice(2)
    expect(sent.map(shape)).toEqual(['1 more', '1 more', '1>3'])
    expect(sent[0]!.text.length).toBe(8192)
    const whole = Buffer.concat(sent.map(({ text }) => text)).toString()
    expect(whole).toBe(names.map((name) => `${name}=NotUnderstood\0`).join(''))
  })

  it.each<[string, Answer]>([
    ['with text', { text: { X: '1' } }],
    ['by leaving the stage', { next: 3 }],
  ])('refuses a target that answers a piece %s', (_how, answer) => {
    const names = Array.from({ length: 700 }, (_, i) => [`X-${i}`, ''])
    blockErrorOf(() => play({}, [noAuth, { text: Object.fromEntries(names) }, answer]), 'PROTOCOL')
  })
})

describe('limits', () => {
  it('a login that never ends', () => {
    const error = blockErrorOf(() => play({}, Array<Answer>(1000).fill({})), 'PROTOCOL')
    expect(error.message).toContain('32 exchanges')
    blockErrorOf(() => play({}, [noAuth, ...Array<Answer>(1000).fill({})]), 'PROTOCOL')
    blockErrorOf(() => play({}, Array<Answer>(1000).fill({ more: true, text: Buffer.from('x') })), 'PROTOCOL')
  })

  it('a login of 32 exchanges', () => {
    expect(playDone({}, [noAuth, ...Array<Answer>(30).fill({}), { next: 3 }]).requests.length).toBe(32)
    blockErrorOf(() => play({}, [noAuth, ...Array<Answer>(31).fill({}), { next: 3 }]), 'PROTOCOL')
  })

  it('text without end', () => {
    const piece: Answer = { more: true, text: Buffer.alloc(8192, 0x41) }
    const error = blockErrorOf(() => play({}, Array<Answer>(9).fill(piece)), 'PROTOCOL')
    expect(error.message).toContain('65536 bytes')
    blockErrorOf(() => play({}, [{ text: Buffer.alloc(16_777_215, 0x41) }]), 'PROTOCOL')
    blockErrorOf(() => play({}, [{ status: 0x0101, text: Buffer.alloc(65_537) }]), 'PROTOCOL')
  })

  it('a flood of unknown keys', () => {
    const text = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`x${i}`, '']))
    blockErrorOf(() => play({}, [noAuth, { text }]), 'PROTOCOL')
  })
})
