import { cp, rm } from 'node:fs/promises'
import { parseNbdUri } from '@blockbraid/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Folder } from './support/bed.ts'
import { openBed, openFolder } from './support/bed.ts'
import type { Certificates } from './support/certificates.ts'
import { makeCertificates } from './support/certificates.ts'
import { fileChecksum, mixedFile, sameFiles } from './support/data.ts'
import { seeded } from './support/seed.ts'
import { run, succeed } from './support/tools.ts'

const MiB = 2 ** 20

let folder: Folder
let certificates: Certificates
let strange: Certificates

beforeAll(async () => {
  folder = await openFolder()
  certificates = await makeCertificates(folder.at('good'))
  strange = await makeCertificates(folder.at('strange'))
})
afterAll(() => folder[Symbol.asyncDispose]())

/** A bed that listens with TLS on TCP. */
function openSecure(options: { required?: boolean; requireClientCert?: boolean } = {}) {
  const { ca, cert, key } = certificates
  return openBed({
    array: { volumes: [{ size: '16MiB' }] },
    listen: { host: '127.0.0.1', port: 0, tls: { ca, cert, key, ...options } },
  })
}

const libnbd = (uri: string, { folder: where }: Certificates): string => `${uri}?tls-certificates=${where}`

/** Arguments with which qemu-img reaches an export over TLS. */
function qemu(uri: string, { folder: where }: Certificates): { creds: string[]; image: string } {
  const { host, port, name } = parseNbdUri(uri)
  return {
    creds: ['--object', `tls-creds-x509,id=tls0,endpoint=client,dir=${where}`],
    image: `driver=raw,file.driver=nbd,file.server.type=inet,file.server.host=${host},file.server.port=${port},file.export=${name},file.tls-creds=tls0`,
  }
}

it('libnbd and qemu copy through TLS', async () => {
  const { seed, random } = seeded()
  await using bed = await openSecure({ requireClientCert: true })
  const uri = libnbd(bed.uri, certificates)
  const info = JSON.parse(await succeed('nbdinfo', ['--json', uri])) as { TLS: boolean; exports: object[] }
  expect(info).toMatchObject({ TLS: true, exports: [{ 'export-size': 16 * MiB }] })
  const [before, after] = [bed.folder.at('in'), bed.folder.at('out')]
  await mixedFile(before, 16 * MiB, seed, random)
  await succeed('nbdcopy', ['--connections=4', '--requests=64', before, uri])
  expect(bed.array.checksum(0)).toBe(await fileChecksum(before))
  const { creds, image } = qemu(bed.uri, certificates)
  await succeed('qemu-img', ['convert', ...creds, '--image-opts', image, '-O', 'raw', after])
  await sameFiles(before, after)
})

it('clients in plain text are refused, and those that trust another authority refuse', async () => {
  await using bed = await openSecure()
  const plain = await run('nbdinfo', [bed.uri.replace('nbds:', 'nbd:')])
  expect(plain.code).toBe(1)
  expect(plain.stderr).toContain('not supported')
  const wrong = await run('nbdinfo', [libnbd(bed.uri, strange)])
  expect(wrong.code).toBe(1)
  expect(wrong.stderr).toMatch(/certificate/i)
  await succeed('nbdinfo', [libnbd(bed.uri, certificates)])
})

it('clients without a certificate are refused where one is asked for, and served where not', async () => {
  await using strict = await openSecure({ requireClientCert: true })
  await using open = await openSecure({ required: false })
  const nobody = folder.at('nobody')
  await cp(certificates.folder, nobody, { recursive: true })
  await rm(`${nobody}/client-cert.pem`)
  await rm(`${nobody}/client-key.pem`)
  const anonymous = { ...certificates, folder: nobody }
  expect((await run('nbdinfo', [libnbd(strict.uri, anonymous)])).code).toBe(1)
  await succeed('nbdinfo', [libnbd(strict.uri, certificates)])
  await succeed('nbdinfo', [libnbd(open.uri, anonymous)])
  // TLS is a choice there.
  await succeed('nbdinfo', [open.uri.replace('nbds:', 'nbd:')])
})
