import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { succeed } from './tools.ts'

/** Where certificates lie, named as GnuTLS clients expect; and the server's as texts. */
export interface Certificates {
  readonly folder: string
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** Makes an authority, and with it a certificate for a server on this machine and one for a client. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  await mkdir(folder)
  const openssl = (...args: string[]): Promise<string> => succeed('openssl', args, { cwd: folder })
  await openssl('req', '-x509', ...curve, '-days', '2', '-subj', '/CN=test', '-keyout', 'ca.key', '-out', 'ca-cert.pem')
  await writeFile(
    join(folder, 'server.ext'),
    'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n',
  )
  await writeFile(join(folder, 'client.ext'), 'extendedKeyUsage=clientAuth\n')
  for (const role of ['server', 'client']) {
    await openssl('req', ...curve, '-subj', `/CN=${role}`, '-keyout', `${role}-key.pem`, '-out', `${role}.csr`)
    const ca = ['-CA', 'ca-cert.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2']
    await openssl('x509', '-req', '-in', `${role}.csr`, ...ca, '-extfile', `${role}.ext`, '-out', `${role}-cert.pem`)
  }
  const text = (name: string): Promise<string> => readFile(join(folder, name), 'utf8')
  return {
    folder,
    ca: await text('ca-cert.pem'),
    cert: await text('server-cert.pem'),
    key: await text('server-key.pem'),
  }
}
