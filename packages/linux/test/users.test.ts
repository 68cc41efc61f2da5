import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sharedLooks, usersOf } from '../src/host/users.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blockbraid-users-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** Makes files, and links where a text begins with `->`. */
async function make(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    await (text.startsWith('->') ? symlink(text.slice(2), path) : writeFile(path, text))
  }
}

const mounted = (number: string, place: string, source: string): string =>
  `36 35 ${number} / ${place} rw,noatime master:1 - ext4 ${source} rw\n`

/** Users of nodes on the host that was made. */
const users = async (...knames: string[]): Promise<Record<string, string[]>> => {
  const places = { proc: join(folder, 'proc'), blocks: join(folder, 'blocks') }
  return Object.fromEntries(await usersOf(new Set(knames), places))
}

test('each user of each node is told: mounts, swap, devices above, processes, containers', async () => {
  await make({
    'blocks/nbd0/dev': '43:0\n',
    'blocks/nbd0/nbd0p1/dev': '43:1\n',
    'blocks/nbd0/nbd0p1/holders/dm-0/dev': '254:0\n',
    'blocks/nbd1/dev': '43:16\n',
    'blocks/nbd2/dev': '43:32\n',
    'blocks/nbd3/dev': '43:48\n',
    'blocks/nbd4/dev': '43:64\n',
    'proc/swaps': 'Filename Type Size Used Priority\n/dev/nbd2 partition 1 0 -2\n',
    'proc/self/ns/mnt': '->mnt:[1]',
    'proc/self/mountinfo': mounted('43:1', '/srv/two\\040words', '/dev/nbd0p1') + mounted('0:40', '/b', '/dev/nbd1'),
    'proc/10/comm': 'fio\n',
    'proc/10/fd/0': '->/dev/null',
    'proc/10/fd/3': '->/dev/nbd0p1',
    'proc/10/fd/4': '->/dev/nbd0',
    'proc/10/fd/5': '->/dev/nbd3',
    'proc/10/ns/mnt': '->mnt:[1]',
    'proc/11/comm': 'web\n',
    'proc/11/ns/mnt': '->mnt:[2]',
    'proc/11/root': '->/',
    'proc/11/mountinfo': mounted('43:16', '/data', '/dev/nbd1'),
    'proc/12/comm': 'web\n',
    'proc/12/ns/mnt': '->mnt:[2]',
    'proc/12/root': '->/',
    'proc/12/mountinfo': mounted('43:16', '/data', '/dev/nbd1'),
    'proc/13/comm': 'jailed\n',
    'proc/13/ns/mnt': '->mnt:[2]',
    'proc/13/root': '->/jail',
    'proc/13/mountinfo': mounted('43:32', '/', '/dev/nbd2'),
    [`proc/${process.pid}/fd/3`]: '->/dev/nbd4',
  })
  expect(await users('nbd0', 'nbd1', 'nbd2', 'nbd3', 'nbd4', 'nbd77')).toEqual({
    nbd0: ['device dm-0', 'mounted at /srv/two words', 'process 10 (fio)'],
    nbd1: ['mounted at /b', 'mounted at /data for process 11 (web)'],
    nbd2: ['swap on /dev/nbd2', 'mounted at / for process 13 (jailed)'],
    nbd3: ['process 10 (fio)'],
    nbd4: [],
    nbd77: [],
  })
})

test('a host that does not show its processes is an error, not a node that nobody uses', async () => {
  await make({ 'blocks/nbd0/dev': '43:0\n' })
  await expect(users('nbd0')).rejects.toThrow('ENOENT')
  expect(await users('nbd77')).toEqual({ nbd77: [] })
})

/** Looks that end when told to. */
function heldLooks() {
  const looks: string[][] = []
  const ends: PromiseWithResolvers<ReadonlyMap<string, string[]>>[] = []
  const nodeUsers = sharedLooks((knames) => {
    const end = Promise.withResolvers<ReadonlyMap<string, string[]>>()
    looks.push([...knames])
    ends.push(end)
    return end.promise
  })
  const found = (number: number): ReadonlyMap<string, string[]> =>
    new Map(looks[number]!.map((kname) => [kname, [`look ${number}`]]))
  return {
    nodeUsers,
    knames: () => looks,
    end: (number: number) => ends[number]!.resolve(found(number)),
    fail: (number: number) => ends[number]!.reject(new Error(`look ${number}`)),
  }
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
}

test('64 nodes that are asked for together cost one look at the processes', async () => {
  const { nodeUsers, knames, end } = heldLooks()
  const names = Array.from({ length: 64 }, (_, number) => `nbd${number}`)
  const told = Promise.all(names.map((name) => nodeUsers(name)))
  await turns()
  expect(knames()).toEqual([names])
  end(0)
  expect(await told).toEqual(names.map(() => ['look 0']))
})

test('who asks while a look is under way gets the next one: it must not miss what came since', async () => {
  const { nodeUsers, knames, end, fail } = heldLooks()
  const first = nodeUsers('nbd0')
  await turns()
  const later = [nodeUsers('nbd0'), nodeUsers('nbd1')]
  await turns()
  expect(knames()).toEqual([['nbd0']])
  end(0)
  expect(await first).toEqual(['look 0'])
  await turns()
  expect(knames()).toEqual([['nbd0'], ['nbd0', 'nbd1']])
  // One that fails costs those who asked for it, nobody else.
  const last = nodeUsers('nbd0')
  fail(1)
  for (const one of later) await expect(one).rejects.toThrow('look 1')
  await turns()
  end(2)
  expect(await last).toEqual(['look 2'])
})
