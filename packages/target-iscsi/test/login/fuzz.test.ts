import { BlockError } from '@blockbraid/core'
import { createRandom, randomInt } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { parseTargetAddress } from '../../src/login/address.ts'
import type { LoginOptions, LoginStep } from '../../src/login/login.ts'
import { Login } from '../../src/login/login.ts'
import { parseSendTargets } from '../../src/login/send-targets.ts'
import { parseText } from '../../src/login/text.ts'
import type { Answer, Request } from './support/answers.ts'
import { agree, encodeAnswer, plain, readRequest } from './support/answers.ts'

// ISCSI_FUZZ sets how many rounds each test runs, ISCSI_FUZZ_SEED the first seed; a failure names its seed.
const rounds = Number(process.env['ISCSI_FUZZ'] ?? 5000)
const first = Number(process.env['ISCSI_FUZZ_SEED'] ?? 1)

const options: Partial<LoginOptions>[] = [
  {},
  { targetName: undefined },
  { headerDigest: ['CRC32C', 'None'], dataDigest: ['CRC32C'], maxOutstandingR2T: 8 },
  { chap: { user: 'u', secret: 's1', algorithms: ['sha256', 'md5'] } },
  { chap: { user: 'u', secret: 's1', algorithms: ['sha1'], target: { secret: 's2' } } },
]

const keys = [
  'AuthMethod,CHAP_A,CHAP_I,CHAP_C,CHAP_N,CHAP_R,HeaderDigest,DataDigest,InitialR2T,ImmediateData,FirstBurstLength',
  'MaxBurstLength,MaxOutstandingR2T,MaxConnections,DefaultTime2Wait,DefaultTime2Retain,ErrorRecoveryLevel,IFMarker',
  'DataPDUInOrder,TaskReporting,iSCSIProtocolLevel,MaxRecvDataSegmentLength,TargetAlias,TargetPortalGroupTag',
  'TargetName,TargetAddress,InitiatorName,SendTargets,X-org.example.key,__proto__,constructor',
]
  .join()
  .split(',')
const values = 'None|CHAP|CRC32C|CRC32C,None|Yes|No|0|1|5|7|90|512|8192|0x4000|16777216|Reject|Irrelevant|NotUnderstood'
  .concat('|0xa5|0bAAEC|iqn.a|10.0.0.1:3260,1|[::1]:3260,2|a:b:c|\u001b[2J|')
  .split('|')

/** Runs `call`, where a BlockError is as good as a value; anything else fails and names the seed. */
function calmly<T>(seed: number, call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    if (BlockError.is(error)) return undefined
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`)
  }
}

function randomBytes(random: () => number, below: number): Buffer {
  return Buffer.from(Array.from({ length: randomInt(random, below) }, () => randomInt(random, 256)))
}

function randomText(random: () => number): Buffer {
  const text: string[] = []
  for (let pairs = randomInt(random, 6); pairs > 0; pairs--) {
    const key = keys[randomInt(random, keys.length)]!
    text.push(`${key}=${values[randomInt(random, values.length)]}\0`)
  }
  return Buffer.from(text.join(''))
}

function rightAnswer(request: Request): Answer {
  if (request.stage === 1) return agree()(request)
  if (request.keys.has('AuthMethod')) {
    const method = request.keys.get('AuthMethod')!.split(',')[0]!
    return method === 'None' ? { next: 1, text: { AuthMethod: method } } : { text: { AuthMethod: method } }
  }
  const offered = request.keys.get('CHAP_A')?.split(',')[0]
  return offered === undefined ? { next: 1 } : { text: { CHAP_A: offered, CHAP_I: '7', CHAP_C: '0x0102' } }
}

/** A right answer, or something near one; `trouble` in 8 go wrong in each respect. */
function randomAnswer(random: () => number, trouble: number, request: Request): Answer {
  const wrong = () => randomInt(random, 8) < trouble
  if (request.more) return {}
  const answer: Answer = wrong() ? { text: randomText(random) } : rightAnswer(request)
  if (wrong()) answer.next = request.next
  if (wrong() && wrong()) answer.more = true
  if (wrong() && wrong()) {
    answer.status = [0x0101, 0x0102, 0x0201, 0x0300, 0x0105, 0x7fff][randomInt(random, 6)]!
    answer.text = { TargetAddress: values[randomInt(random, values.length)]! }
  }
  return answer
}

function damage(random: () => number, bytes: Buffer): Buffer {
  for (let times = randomInt(random, 3); times > 0 && bytes.length > 0; times--) {
    bytes[randomInt(random, bytes.length)] = randomInt(random, 256)
  }
  return randomInt(random, 20) === 0 ? bytes.subarray(0, randomInt(random, bytes.length + 1)) : bytes
}

/** Plays random answers until the login ends; gives the last step. */
function playRandom(seed: number): LoginStep | undefined {
  const random = createRandom(seed)
  const login = new Login({ ...plain, ...options[randomInt(random, options.length)] })
  let pdu = login.start()
  const damaging = randomInt(random, 2) === 0
  const trouble = randomInt(random, 4)
  for (let exchange = 0; ; exchange++) {
    expect(exchange, `seed ${seed}`).toBeLessThan(40)
    const request = readRequest(pdu)
    const [bhs, data] = encodeAnswer(randomAnswer(random, trouble, request), request)
    const step = damaging
      ? calmly(seed, () => login.receive(damage(random, bhs), damage(random, data)))
      : calmly(seed, () => login.receive(bhs, data))
    if (step?.kind !== 'send') return step
    pdu = step.pdu
  }
}

describe('fuzz', () => {
  it('a login gives steps or BlockErrors, and ends', () => {
    const ends = { done: 0, moved: 0, failed: 0 }
    for (let seed = first; seed < first + rounds; seed++) {
      const step = playRandom(seed)
      if (step === undefined || step.kind === 'send') ends.failed++
      else ends[step.kind]++
    }
    // The answers are near enough to right ones to reach every end.
    if (rounds >= 5000) expect(Math.min(ends.done, ends.moved, ends.failed), JSON.stringify(ends)).toBeGreaterThan(50)
  })

  it('random bytes into a login', () => {
    for (let seed = first; seed < first + rounds; seed++) {
      const random = createRandom(seed)
      const login = new Login(plain)
      login.start()
      const bhs =
        randomInt(random, 4) === 0
          ? randomBytes(random, 100)
          : Buffer.concat([randomBytes(random, 49), Buffer.alloc(48)]).subarray(0, 48)
      calmly(seed, () => login.receive(bhs, randomBytes(random, 300)))
    }
  })

  it('random bytes and texts into the parsers', () => {
    for (let seed = first; seed < first + rounds; seed++) {
      const random = createRandom(seed)
      const bytes = randomInt(random, 2) === 0 ? randomBytes(random, 400) : damage(random, randomText(random))
      calmly(seed, () => parseText(bytes))
      calmly(seed, () => parseSendTargets(bytes))
      calmly(seed, () => parseTargetAddress(bytes.toString('latin1')))
    }
  })
})
