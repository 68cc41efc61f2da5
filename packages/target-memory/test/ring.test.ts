import { createRandom } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { Ring } from '../src/ring.ts'

it('agrees with an array over random operations, wherever it begins when it grows', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = createRandom(seed)
    const ring = new Ring<number>()
    let model: number[] = []
    for (let step = 0; step < 300; step++) {
      const kind = random()
      if (kind < 0.6) {
        ring.push(step)
        model.push(step)
      } else if (kind < 0.98) expect(ring.shift(), `seed ${seed}`).toBe(model.shift())
      else {
        const odd = (item: number): boolean => item % 2 === 1
        ring.sift(odd)
        model = model.filter((item) => !odd(item))
      }
      expect(ring.length, `seed ${seed}`).toBe(model.length)
    }
    while (model.length > 0) expect(ring.shift(), `seed ${seed}`).toBe(model.shift())
    expect(ring.shift()).toBeUndefined()
  }
})
