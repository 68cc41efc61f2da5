import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { TlsOptions } from '../../src/tls/psk.ts'
import { tlsKeysOf } from '../../src/tls/psk.ts'

const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:2cd2c43b-a90a-45c1-a8cd-86b33ab273b5'
const subNqn = 'nqn.2026-11.io.blockbraid:array1'
// The bytes 0 to 31.
const BASE64 = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR'
const psk = `NVMeTLSkey-1:01:${BASE64}:`

describe('a TLS key', () => {
  // Made with Python's cryptography (HKDF) and hmac.
  it.each<[string, TlsOptions['identity'] & number, boolean, string, string]>([
    ['00', 0, false, '', 'af0ba3f170e064429108f2f9cc8c271a776eacef12803bae2d5c1286c7721ce4'],
    [
      '00',
      1,
      false,
      'vR+g975Zb6vHFT0ZgOwzEe7r6zcTRuVvBJ0ydAS4EW0=',
      'b75d3a682e7f017640803bff843aff697679588642eb94ad6605c8f99b976320',
    ],
    ['00', 0, true, '', '1b72911a27d01de40cf69ed387d365a163233d008e9b1f4bcb65b66f4c4f156f'],
    [
      '00',
      1,
      true,
      'vR+g975Zb6vHFT0ZgOwzEe7r6zcTRuVvBJ0ydAS4EW0=',
      '42e872429d7be76c67b29a92927e348113ecfa2ecd81078661fade89a696bdd7',
    ],
    ['01', 0, false, '', '9165aeac8016da635a3c3ffe00f13d6f51e36813e4b69bdefda0d6d8aecc7ba1'],
    [
      '01',
      1,
      false,
      'FbIJqJaATOPhzfgvyupCFA7yfB3RT/BIi6e8gOFM64Y=',
      'd31cb194d99064babcb297374f00a169a29794d1700066a879da2bf718288f1a',
    ],
    ['01', 0, true, '', '9ce3880cd25b8aa7184eb3794723c31f23da233b9a118c08c78453d3b507219f'],
    [
      '01',
      1,
      true,
      'CliKa8rCxN66ofdhR2IJ044jk3h/3/Ai+NiZJNrqYxk=',
      '520aae918de6126e79c945c42abbfc017aff05cbdf6800b20c9ec989e3d701e7',
    ],
  ])('of form %s under an identity of version %i, compat %s', (form, identity, compat, digest, key) => {
    const given = tlsKeysOf('tls', { psk: psk.replace(':01:', `:${form}:`), identity, compat })({ hostNqn, subNqn })
    const behind = digest === '' ? '' : ` ${digest}`
    expect(given.identity).toBe(`NVMe${identity}R01 ${hostNqn} ${subNqn}${behind}`)
    expect(Buffer.from(given.key).toString('hex')).toBe(key)
  })

  it('is another for each pair, but for the host where it is used as it is', () => {
    const keys = tlsKeysOf('tls', { psk })
    expect(keys({ hostNqn, subNqn }).key).not.toEqual(keys({ hostNqn, subNqn: `${subNqn}2` }).key)
    expect(keys({ hostNqn, subNqn }).key).not.toEqual(keys({ hostNqn: `${hostNqn}2`, subNqn }).key)
  })

  it('cannot be had for names that are too long for Node, and says so', () => {
    const long = `nqn.2026-11.io.blockbraid:${'a'.repeat(190)}`
    expect(() => tlsKeysOf('tls', { psk })({ hostNqn, subNqn: long })).toThrow(
      'has 294 bytes, and Node takes 256 at most: one of the names has to be shorter',
    )
  })

  it.each([
    [undefined, 'options.tls must have a psk'],
    [{}, 'options.tls.psk is not of the form NVMeTLSkey-1:01:BASE64:'],
    [{ psk, key: psk }, 'options.tls.key is unknown'],
    [{ psk, identity: 2 }, 'options.tls.identity must be 0 or 1'],
    [{ psk, compat: 1 }, 'options.tls.compat must be true or false'],
    [{ psk: 'hunter2hunter2' }, 'options.tls.psk is not of the form'],
    [{ psk: psk.replace(':01:', ':03:') }, 'options.tls.psk begins with NVMeTLSkey-1:03; it must be 00 or 01'],
    [{ psk: psk.replace('AAEC', 'AAED') }, 'options.tls.psk does not fit its checksum'],
    [{ psk: 'NVMeTLSkey-1:00:AAECAwQFBgc=:' }, 'options.tls.psk has a key of 4 bytes; it must have 32'],
    [
      { psk: 'NVMeTLSkey-1:02:of+cLgxoa3POmQy7nm5VNQt2dMLYJlOGHvgir3PuX1kDmrQ2H3mjpApyKx1ry0e4/xoflQ==:' },
      'options.tls.psk is a key of SHA-384; Node has TLS keys of SHA-256 alone',
    ],
  ])('that is wrong is refused by name, and not shown: %#', (given, message) => {
    let error: unknown
    try {
      tlsKeysOf('tls', given as never)
    } catch (caught) {
      error = caught
    }
    expect((error as TypeError).message).toContain(message)
    expect(inspect(error)).not.toMatch(/AwQFBgc|hunter2|cLgxoa3/)
  })

  it('is seen by nobody who looks at what was made of it', () => {
    expect(inspect(tlsKeysOf('tls', { psk }), { depth: 9, showHidden: true })).not.toMatch(/AwQFBgc|00 01 02/)
  })
})
