import type { Clock } from '@blockbraid/core'
import { delay } from '@blockbraid/core'
import type { VirtualHost } from '@blockbraid/testkit'
import { randomInt, simulate } from '@blockbraid/testkit'
import { get16le } from '@blockbraid/wire'
import { expect, test } from 'vitest'
import type { ControllerFacts } from '../../src/association/association.ts'
import { By } from '../../src/fence/ladder.ts'
import { SharedAssociations } from '../../src/fence/shared-associations.ts'
import { portalOf } from '../../src/place/portal.ts'
import { DoubleAssociation, Opcode, place, resetLog } from './double.ts'

const QUIESCE = 1500
const owner = {}

/** A controller with a write that it executes until it has ended: by its keep-alive timer, or sooner by what ends it. */
class Victim {
  endedAt = Number.POSITIVE_INFINITY
  readonly #clock: Clock
  readonly #quiesce: number

  constructor(clock: Clock, quiesce: number) {
    this.#clock = clock
    this.#quiesce = quiesce
  }

  /** It gives up `milliseconds` from now, and has come to rest some time after that. */
  async endAfter(milliseconds: number): Promise<void> {
    await delay(this.#clock, milliseconds + this.#quiesce)
    this.endedAt = Math.min(this.endedAt, this.#clock.now())
  }

  get ended(): boolean {
    return this.endedAt <= this.#clock.now()
  }
}

/** Loses one controller among siblings that reset it, refuse, fail, are slow or die; returns what proved that it had ended. */
async function loseOne(host: VirtualHost): Promise<string> {
  const { clock, random } = host
  const chance = (share: number): boolean => random() < share
  const keepAliveTimeout = 100 + randomInt(random, 2000)
  const trafficBased = chance(0.5)
  const quiesceTime = chance(0.5) ? 1 + randomInt(random, 1000) : 0
  const victim = new Victim(clock, randomInt(random, quiesceTime === 0 ? QUIESCE : quiesceTime))

  /** Answers of a sibling: what it says is true, and all else may go wrong. */
  const answersOf = (association: DoubleAssociation): void => {
    const log: [number, number, number][] = []
    const begin = async (entry: [number, number, number], well: boolean): Promise<void> => {
      if (well) await victim.endAfter(randomInt(random, 3000))
      else await delay(clock, randomInt(random, 500))
      entry[2] = well ? 1 : 2
      if (chance(0.5)) for (const { crossReset } of [...association.listeners]) crossReset?.()
    }
    association.answers = async (sqe) => {
      await delay(clock, randomInt(random, 20))
      if (sqe[0] === Opcode.GetLog) {
        const data = resetLog(...log)
        log.splice(0, log.length, ...log.filter(([, , state]) => state === 0))
        return chance(0.05) ? { status: 6 } : { data }
      }
      if (victim.ended && chance(0.8)) return { result: 1 }
      if (chance(0.3)) return { status: [0x13f, 0x140, 0x141, 0x006, 0x4002][randomInt(random, 5)]! }
      const entry: [number, number, number] = [get16le(sqe, 40), sqe[42] as number, 0]
      log.push(entry)
      void begin(entry, chance(0.6))
      return {}
    }
  }

  const facts = (address: string): Partial<ControllerFacts> =>
    address.startsWith('lost')
      ? { id: 1, keepAliveTimeout, trafficBased, quiesceTime }
      : { id: 2 + randomInt(random, 1000), crossResets: 1 + randomInt(random, 3) }
  const all = new SharedAssociations(
    host,
    {
      async open(to) {
        const association = new DoubleAssociation(host, facts(to.portal.host), to)
        answersOf(association)
        return association
      },
      forgets: () => Promise.reject(new Error('nobody asks')),
    },
    QUIESCE,
  )
  const at = async (name: string) => {
    const shared = all.at({ ...place, portal: portalOf(name, 4420) })
    return { shared, association: (await shared.acquire()) as DoubleAssociation }
  }
  const { shared, association: lost } = await at('lost')
  const siblings = await Promise.all(Array.from({ length: randomInt(random, 3) }, (_, number) => at(`s${number}`)))
  lost.open(owner)
  lost.heardAt = clock.now()
  await delay(clock, randomInt(random, keepAliveTimeout))
  const canDisable = chance(0.3)
  lost.disabling = async (signal) => {
    if (chance(0.3)) await new Promise((resolve) => signal?.addEventListener('abort', resolve))
    // What it is told by that is a sign of life.
    const gives = keepAliveTimeout * (trafficBased ? 2 : 1)
    void victim.endAfter(gives)
    if (!canDisable || signal?.aborted) return false
    await victim.endAfter(randomInt(random, 800))
    return true
  }
  lost.lose()
  for (const { association } of siblings) {
    if (chance(0.5)) void delay(clock, randomInt(random, 2000)).then(() => association.lose())
  }
  if (chance(0.3)) void delay(clock, randomInt(random, 3000)).then(() => at('later'))
  const proof = await shared.fenced(lost, owner)
  expect(victim.ended, `${proof?.by} at ${clock.now()}, ended at ${victim.endedAt}`).toBe(true)
  return proof!.by
}

test('no proof comes before the controller has ended, whatever goes wrong on every rung', async () => {
  const by = new Map<string, number>()
  await simulate(1000, async (host) => {
    const how = await loseOne(host)
    by.set(how, (by.get(how) ?? 0) + 1)
  })
  expect([...by.keys()].sort()).toEqual([By.Disabled, By.CrossReset, By.Time].sort())
  for (const count of by.values()) expect(count).toBeGreaterThan(50)
})
