import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import {
  claimNode,
  isServed,
  nodeUsers,
  readNodeRecord,
  recordFolder,
  removeNodeRecord,
  settleNode,
  writeNodeRecord,
} from '../src/host/index.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blockbraid-host-'))
  process.env['BLOCKBRAID_RUN'] = folder
})
afterEach(async () => {
  delete process.env['BLOCKBRAID_RUN']
  await rm(folder, { recursive: true })
})

test('a record says who serves a node, in lines that udev imports', async () => {
  await writeNodeRecord('nbd0', { name: 'vol-0', volume: 'naa.6001' })
  const record = await readNodeRecord('nbd0')
  expect(record).toMatchObject({ name: 'vol-0', volume: 'naa.6001', pid: process.pid })
  expect(isServed(record!)).toBe(true)
  expect(await readFile(join(recordFolder(), 'nbd0'), 'utf8')).toMatch(
    /^BLOCKBRAID_NAME=vol-0\nBLOCKBRAID_VOLUME=naa\.6001\n/,
  )
  await removeNodeRecord('nbd0')
  expect(await readNodeRecord('nbd0')).toBeUndefined()
  await removeNodeRecord('nbd0')
})

test('a record says what lsblk shows of the disk, in words that no rule and no shell takes for more', async () => {
  const fields = async (words: object): Promise<string[]> => {
    await writeNodeRecord('nbd0', { name: 'a', volume: '', ...words })
    const lines = (await readFile(join(recordFolder(), 'nbd0'), 'utf8')).trim().split('\n')
    return lines.filter((line) => /^BLOCKBRAID_(MODEL|SERIAL|WWN)=/.test(line)).map((line) => line.slice(11))
  }
  const volume = 'naa.60014050000000000000000000000001'
  expect(await fields({ volume, product: 'IET     VIRTUAL-DISK', serial: ' beaf11 ' })).toEqual([
    'MODEL=IET_VIRTUAL-DISK',
    'SERIAL=beaf11',
    'WWN=0x60014050000000000000000000000001',
  ])
  expect(await fields({ volume, product: 'a\n"$(reboot)"/../b\0\nBLOCKBRAID_PID=1' })).toEqual([
    'MODEL=a_reboot_.._b_BLOCKBRAID_PID=1',
    'SERIAL=60014050000000000000000000000001',
    'WWN=0x60014050000000000000000000000001',
  ])
  expect(await fields({ volume: 't10.ACME  disk 7', serial: '   ' })).toEqual(['SERIAL=ACME_disk_7'])
  expect(await fields({})).toEqual([])
})

test('an identity of spaces and quotes comes back as it was', async () => {
  const volume = `t10.VENDOR  "disk" 'a'=b/c`
  await writeNodeRecord('nbd0', { name: 'a', volume })
  expect(await readNodeRecord('nbd0')).toMatchObject({ name: 'a', volume })
})

test('a record of a process that has ended, or whose number another one has, is an orphan', async () => {
  await writeNodeRecord('nbd0', { name: 'a', volume: 'b' })
  const record = (await readNodeRecord('nbd0'))!
  expect(isServed({ ...record, started: String(Number(record.started) + 1) })).toBe(false)
  const child = spawn('sleep', ['60'])
  const stat = await readFile(`/proc/${child.pid}/stat`, 'latin1')
  const running = { ...record, pid: child.pid!, started: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]! }
  expect(isServed(running)).toBe(true)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(isServed(running)).toBe(false)
})

test('a name that would break the lines of a record is refused', async () => {
  await expect(writeNodeRecord('nbd0', { name: 'a\nBLOCKBRAID_PID=1', volume: 'b' })).rejects.toThrow('name is')
  for (const volume of [' b', 'b ', '"b"', 'ä'])
    await expect(writeNodeRecord('nbd0', { name: 'a', volume })).rejects.toThrow('volume is')
  await expect(writeNodeRecord('../nbd0', { name: 'a', volume: 'b' })).rejects.toThrow('kname is')
})

test('a record that another node has by now stays', async () => {
  await writeNodeRecord('nbd0', { name: 'a', volume: 'b' })
  const mine = { name: 'a', volume: 'b', pid: process.pid }
  for (const other of [{ name: 'x' }, { volume: 'x' }, { pid: 1 }])
    await removeNodeRecord('nbd0', { ...mine, ...other })
  expect(await readNodeRecord('nbd0')).toMatchObject(mine)
  await removeNodeRecord('nbd0', mine)
  expect(await readNodeRecord('nbd0')).toBeUndefined()
  await removeNodeRecord('nbd0', mine)
})

test('others cannot write records, whatever the umask', async () => {
  const before = process.umask(0)
  try {
    await writeNodeRecord('nbd0', { name: 'a', volume: 'b' })
  } finally {
    process.umask(before)
  }
  expect((await stat(recordFolder())).mode & 0o022).toBe(0)
  expect((await stat(join(recordFolder(), 'nbd0'))).mode & 0o022).toBe(0)
})

test('one of many has a claim, until it lets go', async () => {
  for (let round = 0; round < 3; round++) {
    const ends = await Promise.all(Array.from({ length: 10 }, () => claimNode('nbd a@b')))
    const [letGo, ...more] = ends.filter((end) => typeof end === 'function')
    expect(more).toEqual([])
    expect(ends.filter((end) => end === process.pid)).toHaveLength(9)
    const other = await claimNode('nbd a@c')
    await (other as () => Promise<void>)()
    await letGo!()
  }
  expect(await readdir(recordFolder())).toEqual([])
})

test('the claim of a process that has ended is void, and one of many gets it', async () => {
  const claim = `
    import { claimNode } from '${pathToFileURL(join(import.meta.dirname, '../src/host/claim.ts')).href}'
    console.log(typeof (await claimNode('nbd a@b')))
    setInterval(() => {}, 1000)`
  for (let round = 0; round < 2; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', claim], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    expect(String(await once(child.stdout, 'data'))).toBe('function\n')
    expect(await claimNode('nbd a@b')).toBe(child.pid)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const ends = await Promise.all(Array.from({ length: 10 }, () => claimNode('nbd a@b')))
    const [letGo, ...more] = ends.filter((end) => typeof end === 'function')
    expect(more).toEqual([])
    await letGo!()
  }
  expect(await readdir(recordFolder())).toEqual([])
})

test('nobody uses a node that is not there', async () => {
  expect(await nodeUsers('nbd77')).toEqual([])
})

test('a node that is there is settled at once', async () => {
  await settleNode('null')
})

const guardModule = pathToFileURL(join(import.meta.dirname, '../src/host/guard.ts')).href

/** A process that has `entries` guarded for 300 ms and then prints `ready`; the guard notes what it removes. */
async function guarded(entries: readonly string[], after: string): Promise<ReturnType<typeof spawn>> {
  const script = join(folder, 'guard.mjs')
  await writeFile(
    script,
    `import { appendFileSync } from 'node:fs'
     import { runGuard } from '${guardModule}'
     let failed = false
     const work = runGuard(async (entry) => {
       if (entry === 'stubborn' && !failed) { failed = true; throw new Error('once') }
       appendFileSync('${folder}/removed', entry + '\\n')
     })
     // Before that, a signal would end it.
     appendFileSync('${folder}/started', process.pid + '\\n')
     await work
     appendFileSync('${folder}/ended', 'ended\\n')`,
  )
  const owner = join(folder, 'owner.mjs')
  await writeFile(
    owner,
    `import { guardNode } from '${guardModule}'
     const script = new URL('file://${script}')
     const guards = ${JSON.stringify(entries)}.map((entry) => guardNode(script, entry, 300))
     console.log('ready')
     ${after}`,
  )
  const child = spawn(process.execPath, [owner], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

async function until(file: string): Promise<string> {
  for (;;) {
    // A file is there before its first line is.
    const text = await readFile(join(folder, file), 'utf8').catch(() => '')
    if (text !== '') return text
    await sleep(20)
  }
}

test('the guard of a process that is killed removes its nodes, all but the forgotten, and tries again', async () => {
  const child = await guarded(
    ['nbd0 x', 'stubborn', 'nbd2 z'],
    `guards[2].forget(); guards[2].forget(); setInterval(() => {}, 1000)`,
  )
  await until('started')
  child.kill('SIGKILL')
  await until('ended')
  expect((await readFile(join(folder, 'removed'), 'utf8')).split('\n').sort()).toEqual(['', 'nbd0 x', 'stubborn'])
  expect(await readFile(join(folder, 'started'), 'utf8')).toMatch(/^\d+\n$/)
})

test('the guard of a process that has forgotten all its nodes ends with nothing done', async () => {
  await guarded(['nbd0 x', 'nbd1 y'], `for (const guard of guards) guard.forget()`)
  await until('ended')
  await expect(access(join(folder, 'removed'))).rejects.toThrow()
})

test('what a guard is started with holds no secret of its owner: no environment, no argument, no descriptor', async () => {
  vi.stubEnv('CHAP_SECRET', 'correct-horse-battery')
  const child = await guarded(['nbd0 x'], `setInterval(() => {}, 1000)`).finally(() => vi.unstubAllEnvs())
  const pid = (await until('started')).trim()
  const names = (await readFile(`/proc/${pid}/environ`, 'latin1')).split('\0').map((line) => line.split('=')[0])
  expect(['', 'BLOCKBRAID_RUN', 'LD_LIBRARY_PATH', 'PATH']).toEqual(expect.arrayContaining(names))
  expect(await readFile(`/proc/${pid}/cmdline`, 'latin1')).not.toContain('nbd0')
  // Of its owner it has its input alone; the rest is its own.
  expect(await readlink(`/proc/${pid}/fd/0`)).toMatch(/^(socket|pipe):/)
  for (const fd of [1, 2]) expect(await readlink(`/proc/${pid}/fd/${fd}`)).toBe('/dev/null')
  child.kill('SIGKILL')
  await until('ended')
})

test('the guard outlives SIGTERM, and keeps no process alive', async () => {
  const child = await guarded(['nbd0 x'], ``)
  const [code] = (await once(child, 'exit')) as [number]
  expect(code).toBe(0)
  process.kill(Number(await until('started')), 'SIGTERM')
  expect(await until('removed')).toBe('nbd0 x\n')
  await until('ended')
})

test('a guard that dies is started again, with all that it guarded', async () => {
  const child = await guarded(['nbd0 x', 'nbd1 y'], `guards[1].forget(); setInterval(() => {}, 1000)`)
  const first = (await until('started')).trim()
  process.kill(Number(first), 'SIGKILL')
  while ((await until('started')).trim() === first) await sleep(20)
  child.kill('SIGKILL')
  expect(await until('removed')).toBe('nbd0 x\n')
  await until('ended')
})

test('a node that is guarded twice by this process is forgotten at once', async () => {
  const child = await guarded(['nbd0 x', 'nbd0 x'], `guards[1].forget(); setInterval(() => {}, 1000)`)
  await until('ended')
  child.kill('SIGKILL')
  await once(child, 'exit')
  await expect(access(join(folder, 'removed'))).rejects.toThrow()
})
