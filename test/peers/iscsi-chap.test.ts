import { writeFile } from 'node:fs/promises'
import type { BlockError } from '@blockbraid/core'
import type { ChapCredentials, IscsiOptions } from '@blockbraid/target-iscsi'
import { iscsi } from '@blockbraid/target-iscsi'
import { expect, it } from 'vitest'
import { openFolder } from './support/bed.ts'
import { blockbraid, command, ls, startBlockbraid } from './support/cli.ts'
import { fio, verifiedMix } from './support/fio.ts'
import { calm, openIscsiBed } from './support/iscsi-bed.ts'
import type { Tgt, TgtTarget } from './support/tgt.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'
import { run } from './support/tools.ts'

const secret = 'open-sesame-of-alice'
const theirs = 'the-target-is-itself'
// tgt gives SHA1 the number that IANA has given to SHA-256, and knows no SHA1 by its own number.
const alice: ChapCredentials = { user: 'alice', secret, algorithms: ['md5'] }
/** What is offered where nothing is said of it. */
const usual = ['sha3-256', 'sha256', 'sha1', 'md5'] as const

async function openGuarded(mutual = false): Promise<{ tgt: Tgt; target: TgtTarget }> {
  const tgt = await openTgt()
  const target = await tgt.addTarget({
    chap: { user: 'alice', secret },
    ...(mutual && { outgoing: { user: 'array', secret: theirs } }),
  })
  await target.addLun()
  return { tgt, target }
}

/** How discovery fails. */
async function refusal(options: IscsiOptions): Promise<BlockError> {
  const target = iscsi({ ...calm, ...options })
  try {
    await target.discover()
  } catch (error) {
    return error as BlockError
  } finally {
    await target.close()
  }
  throw new Error('it was let in')
}

/** Everything that could be printed of an error. */
function printed(error: unknown): string {
  const parts: string[] = []
  for (let at = error; at instanceof Error; at = at.cause) parts.push(String(at), at.stack ?? '', JSON.stringify(at))
  return parts.join('\n')
}

itWithTgt.each([
  ['MD5', { algorithms: ['md5'] }],
  // tgt takes the number of SHA-256 for SHA1: the second try, without it, succeeds.
  ['as usual', { algorithms: usual }],
  ['SHA3-256, SHA1 or MD5, of which the target has MD5', { algorithms: ['sha3-256', 'sha1', 'md5'] }],
] as const)('one-way CHAP, %s', async (_name, more) => {
  const { tgt, target } = await openGuarded()
  await using _tgt = tgt
  await using bed = await openIscsiBed({ portals: tgt.portals, target: target.name, chap: { ...alice, ...more } })
  await fio(bed.uri, bed.folder.path, [...verifiedMix, '--size=8M'])
})

itWithTgt.each([
  ['whatever the target calls itself', {}],
  ['by the name of the target', { user: 'array' }],
] as const)('mutual CHAP, %s', async (_name, more) => {
  const { tgt, target } = await openGuarded(true)
  await using _tgt = tgt
  const chap = { ...alice, target: { secret: theirs, ...more } }
  await using bed = await openIscsiBed({ portals: tgt.portals, target: target.name, chap, discoveryChap: false })
  await fio(bed.uri, bed.folder.path, [...verifiedMix, '--size=8M'])
})

itWithTgt.each([
  ['no credentials', undefined],
  ['a wrong secret', { ...alice, secret: 'wrong-secret-here' }],
  ['a wrong user', { ...alice, user: 'mallory' }],
  ['a target that does not know its secret', { ...alice, target: { secret: 'not-what-it-says' } }],
  ['a target under another name', { ...alice, target: { secret: theirs, user: 'other' } }],
] as const)('%s: DENIED, and no secret in the error', async (_name, chap) => {
  const { tgt, target } = await openGuarded(true)
  await using _tgt = tgt
  const options = { portals: tgt.portals, target: target.name, discoveryChap: false } as const
  const error = await refusal({ ...options, ...(chap && { chap }) })
  expect(error.code, printed(error)).toBe('DENIED')
  for (const word of [secret, theirs, 'wrong-secret-here', 'not-what-it-says'])
    expect(printed(error)).not.toContain(word)
  expect(await target.sessions()).toEqual([])
})

itWithTgt('a target that does not prove itself where it was asked to is not used', async () => {
  const { tgt, target } = await openGuarded(false)
  await using _tgt = tgt
  const chap = { ...alice, target: { secret: theirs } }
  const error = await refusal({ portals: tgt.portals, target: target.name, chap, discoveryChap: false })
  expect(error.code, printed(error)).toBe('DENIED')
  expect(await target.sessions()).toEqual([])
})

itWithTgt('mutual CHAP is not given up for discovery: a target that has none there is not asked', async () => {
  const { tgt, target } = await openGuarded(true)
  await using _tgt = tgt
  const chap = { ...alice, target: { secret: theirs } }
  expect((await refusal({ portals: tgt.portals, target: target.name, chap })).code).toBe('DENIED')
})

itWithTgt.each([['sha1'], ['sha3-256']] as const)(
  'MD5 is refused by an option: only %s, which tgt has not',
  async (one) => {
    const { tgt, target } = await openGuarded()
    await using _tgt = tgt
    const error = await refusal({ portals: tgt.portals, target: target.name, chap: { ...alice, algorithms: [one] } })
    expect(['DENIED', 'CONNECT_FAILED'], printed(error)).toContain(error.code)
    expect(printed(error)).not.toContain(secret)
    expect(await target.sessions()).toEqual([])
  },
)

itWithTgt('a secret in a URL that is refused is not printed', async () => {
  const { tgt, target } = await openGuarded()
  await using _tgt = tgt
  await using folder = await openFolder()
  const url = `iscsi://alice%wrong-secret-here@${tgt.portals[0]}/${target.name}`
  const { code, stdout, stderr } = await run(process.execPath, [command, 'discover', '--json', url], {
    cwd: folder.path,
  })
  expect(code).toBe(1)
  expect(stderr).toContain(tgt.portals[0])
  expect(`${stdout}${stderr}`).not.toContain('wrong-secret-here')
})

itWithTgt('secrets of a config file are not printed by any command', async () => {
  const { tgt, target } = await openGuarded(true)
  await using _tgt = tgt
  await using folder = await openFolder()
  const control = folder.at('control.sock')
  await writeFile(
    folder.at('config.yaml'),
    `control: ${control}
targets:
  - use: iscsi
    portals: ["${tgt.portals[0]}", "${tgt.portals[1]}"]
    target: ${target.name}
    chap: { user: alice, secret: ${secret}, algorithms: [md5], target: { secret: ${theirs} } }
    discoveryChap: false
devices:
  - { volume: "*", name: disk, transport: { use: nbd, socket: ${folder.at('nbd.sock')} } }
`,
  )
  const agent = startBlockbraid(folder.path, 'up', folder.at('config.yaml'))
  const up = async (): Promise<number> => {
    const { pairs } = await ls(folder.path, control)
    return pairs.flatMap(({ paths }) => paths).filter(({ state }) => state === 'up').length
  }
  await expect.poll(() => up().catch(() => 0), { timeout: 20_000 }).toBe(2)
  const texts: string[] = []
  for (const words of [['ls'], ['ls', '--json'], ['stats', '--json'], ['rescan', '--json']]) {
    texts.push(await blockbraid(folder.path, ...words, '--control', control))
  }
  agent.kill('SIGTERM')
  const { code, stdout, stderr } = await agent.ended
  expect(code).toBe(0)
  for (const word of [secret, theirs]) expect([...texts, stdout, stderr].join('\n')).not.toContain(word)
})

it.todo(
  'tgt has CHAP with MD5 only, and an SHA1 under the number of SHA-256: the others are shown with LIO and in unit tests',
)
it.todo('tgt does not ask for CHAP in discovery sessions')
