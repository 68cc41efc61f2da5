// TLS by a pre-shared key with the kernel's NVMe target, whose handshakes tlshd does.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IoOp } from '@blockbraid/core'
import type { NvmeofOptions } from '@blockbraid/target-nvmeof'
import { pattern, patternFault } from '@blockbraid/testkit'
import { submit } from '../guest/submit.ts'
import { until } from '../guest/wait.ts'
import { derivedKey, insertKey, newTlsKey, openTls, tlsWords } from '../judges/tls.ts'
import { nvme } from '../nvme-host/nvme-cli.ts'
import type { Bed } from './bed.ts'
import { ALICE, MIB, openAllPaths, openBed, openDevice, openPath } from './bed.ts'

const tls = { treq: 'required' }

/** Writes and reads with every byte looked at; tells what tlshd has said where that fails. */
async function use(bed: Bed, options: Partial<NvmeofOptions>): Promise<void> {
  const target = bed.initiator(options)
  try {
    const device = await openDevice(target)
    for (let at = 0; at < 4; at++) {
      const stamp = { seed: 9, offset: at * MIB, generation: at }
      await device.write(stamp.offset, pattern(MIB, stamp))
      assert.equal(patternFault(await device.read(stamp.offset, MIB), stamp), undefined)
    }
    await device.close()
  } catch (error) {
    throw new Error(`${(error as Error).message}; tlshd: ${tlsWords()}`, { cause: error })
  } finally {
    await bed.close(target)
  }
}

for (const identity of [0, 1] as const) {
  test(`what is written over TLS is read back; the key goes by an identity of version ${identity}`, async () => {
    await openTls()
    await using bed = openBed({ tls })
    const psk = await newTlsKey()
    await insertKey(derivedKey(psk, ALICE, bed.nvmet.nqn, identity))
    await use(bed, { tls: { psk, identity }, queues: 2 })
    await use(bed, { tls: { psk, identity }, headerDigest: true, dataDigest: true })
  })

  test(`a key that nvme-cli has put there, by an identity of version ${identity}`, async () => {
    await openTls()
    await using bed = openBed({ tls })
    const names = [`--hostnqn=${ALICE}`, `--subsysnqn=${bed.nvmet.nqn}`, `--identity=${identity}`]
    const psk = /NVMeTLSkey-1:01:\S+/.exec(await nvme('gen-tls-key', '--hmac=1', '--insert', ...names))?.[0] ?? ''
    // Debian's is from before nvme-cli kept to RFC 8446.
    await use(bed, { tls: { psk, identity, compat: true } })
  })
}

test('another key is refused, and so is a host in clear', async () => {
  await openTls()
  await using bed = openBed({ tls })
  const psk = await newTlsKey()
  await insertKey(derivedKey(psk, ALICE, bed.nvmet.nqn, 0))
  const target = bed.initiator({ tls: { psk: await newTlsKey() } })
  await assert.rejects(openPath(target), { code: 'DENIED', message: /both ends need the same key/ })
  await bed.close(target)
  const clear = bed.initiator({ connectTimeout: 5000 })
  await assert.rejects(openPath(clear), { code: /CONNECT_FAILED|TIMED_OUT/ })
  await bed.close(clear)
})

test('a path that was lost comes back over TLS', async () => {
  await openTls()
  await using bed = openBed({ tls })
  const psk = await newTlsKey()
  await insertKey(derivedKey(psk, ALICE, bed.nvmet.nqn, 0))
  const device = await openAllPaths(bed.initiator({ tls: { psk } }))
  for (const port of [1, 2]) {
    await bed.nvmet.setUp(port, false)
    await until('a path is lost', () => device.paths.some(({ state }) => state !== 'up'))
    assert.equal(await submit(device, IoOp.Write, 0, 4096, port), 0)
    await bed.nvmet.setUp(port, true)
    await until('it is back', () => device.paths.every(({ state }) => state === 'up'))
  }
  await device.close()
})
