import { describe, expect, it } from 'vitest'
import { transmissionFlags } from '../../src/kernel/flags.ts'
import { checkKernelOptions } from '../../src/kernel/options.ts'
import { nbd } from '../../src/transport.ts'
import { TestDevice } from '../support/device.ts'

describe('options of kernel nodes', () => {
  it('are filled in', () => {
    expect(checkKernelOptions({})).toEqual({
      connections: 1,
      takeOverTimeout: 60_000,
      resendInterval: 5000,
      requestTimeout: 0,
      partitions: false,
      rotational: false,
      readOnly: false,
    })
    expect(checkKernelOptions({ connections: 2 }).requestTimeout).toBe(60_000)
  })

  it.each([
    [{ kernel: 'yes' }, 'nbd: kernel is "yes"; it must be true, false or auto'],
    [{ kernel: true, socket: '/x' }, 'nbd: socket is "/x"; it must be left out where kernel is true'],
    [{ kernel: true, tls: {} }, 'nbd: tls is [object Object]; it must be left out where kernel is true'],
    [{ socket: '/x', connections: 2 }, 'nbd: connections is 2; it must be left out unless kernel is true or auto'],
    [
      { kernel: false, socket: '/x', partitions: true },
      'nbd: partitions is true; it must be left out unless kernel is true or auto',
    ],
    [
      { kernel: 'auto' },
      'nbd: socket is undefined; it must be the path of a unix socket, unless host or port is given',
    ],
    [{ kernel: true, connections: 0 }, 'nbd: connections is 0; it must be a whole number from 1 to 64'],
    [
      { kernel: true, connections: 2, requestTimeout: 0 },
      'nbd: requestTimeout is 0; it must be above 0 where there are several connections',
    ],
    [
      { kernel: true, requestTimeout: 999 },
      'nbd: requestTimeout is 999; it must be a whole number from 1000 to 3600000',
    ],
    [{ kernel: true, rotational: 1 }, 'nbd: rotational is 1; it must be true or false'],
  ])('%j is refused', (options, message) => {
    expect(() => nbd(options as object)).toThrow(new TypeError(message))
  })
})

describe('flags for the kernel', () => {
  const flags = (limits: object, settings: object = {}): number =>
    transmissionFlags(new TestDevice(65536, limits).limits, checkKernelOptions(settings))

  it('follow the limits', () => {
    expect(flags({})).toBe(0b1_0110_1101)
    expect(flags({ writeCache: false })).toBe(0b1_0110_0001)
    expect(flags({ fua: false })).toBe(0b1_0110_0101)
    expect(flags({ trim: false, writeZeroes: false })).toBe(0b1_0000_1101)
    expect(flags({ readOnly: true })).toBe(0b1_0000_1111)
    expect(flags({}, { readOnly: true, rotational: true })).toBe(0b1_0001_1111)
  })
})
