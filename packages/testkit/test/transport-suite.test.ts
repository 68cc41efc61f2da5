import { describe, expect, it } from 'vitest'
import type { TransportSuiteOptions } from '../src/index.ts'
import { createMinimalTransport, runMutants, transportMutants, transportSuite } from '../src/index.ts'
import type { MinimalTransport } from '../src/minimal/transport.ts'

function minimal(): TransportSuiteOptions {
  let last: MinimalTransport | undefined
  return {
    async open() {
      last = createMinimalTransport()
      return last.transport
    },
    connect: (node) => last!.connect(node),
    has: { flush: true, fua: true, trim: true, writeZeroes: true, resize: true },
    limit: 500,
  }
}

describe('the minimal transport', () => transportSuite({ describe, it }, { ...minimal(), limit: 10_000 }))

describe('mutants of the transport suite', async () => {
  const reports = await runMutants(transportSuite, minimal(), transportMutants)
  it.each(reports)('catches a transport that $name', ({ outcome, failures }) => {
    expect(outcome, failures.join('\n')).toBe('caught')
  })
})
