import { readdir, readFile, readlink } from 'node:fs/promises'

/**
 * Who uses a node or a partition of it, for people: mount points, swap, devices on top (dm, md), processes
 * that have it open, this one left out. Empty where nobody does; other mount namespaces are seen through
 * their processes, as far as privileges reach.
 */
export async function nodeUsers(kname: string): Promise<string[]> {
  const names = [kname, ...(await partitionsOf(kname))]
  const numbers = new Set<string>()
  const users = new Set<string>()
  for (const name of names) {
    const folder = name === kname ? `/sys/block/${kname}` : `/sys/block/${kname}/${name}`
    const number = await readFile(`${folder}/dev`, 'utf8').catch(() => '')
    if (number !== '') numbers.add(number.trim())
    for (const holder of await readdir(`${folder}/holders`).catch(() => [])) users.add(`device ${holder}`)
  }
  for (const place of await mountsOf('/proc/self/mountinfo', numbers, names)) users.add(`mounted at ${place}`)
  for (const swap of await swapsOn(names)) users.add(`swap on ${swap}`)
  for (const user of await processesWith(names, numbers)) users.add(user)
  return [...users]
}

/** Nodes, such as `/dev/nbd0`, of `names` or their partitions that the kernel swaps to. */
export async function swapsOn(names: readonly string[]): Promise<string[]> {
  const lines = (await readFile('/proc/swaps', 'utf8').catch(() => '')).split('\n').slice(1)
  const files = lines.flatMap((line) => line.split(/\s/, 1)).filter((file) => file !== '')
  return files.filter((file) => names.some((name) => file === `/dev/${name}`))
}

async function partitionsOf(kname: string): Promise<string[]> {
  const entries = await readdir(`/sys/block/${kname}`).catch(() => [])
  return entries.filter((name) => name.startsWith(`${kname}p`) && /^\d+$/.test(name.slice(kname.length + 1)))
}

// Fields of mountinfo (proc(5)): id, parent, major:minor, root, mount point, …, "-", type, source.
async function mountsOf(file: string, numbers: ReadonlySet<string>, names: readonly string[]): Promise<string[]> {
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n')
  return lines.flatMap((line) => {
    const fields = line.split(' ')
    const source = fields[fields.indexOf('-') + 2] ?? ''
    // Some filesystems, btrfs among them, show a number that is not the device's.
    const ours = numbers.has(fields[2] ?? '') || names.some((name) => source === `/dev/${name}`)
    return ours ? [(fields[4] ?? '').replaceAll('\\040', ' ')] : []
  })
}

async function processesWith(names: readonly string[], numbers: ReadonlySet<string>): Promise<string[]> {
  const files = new Set(names.map((name) => `/dev/${name}`))
  const own = await readlink('/proc/self/ns/mnt').catch(() => '')
  const users: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    if (pid === String(process.pid)) continue
    const command = async (): Promise<string> => (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')).trim()
    if (await hasOpen(pid, files)) {
      users.push(`process ${pid} (${await command()})`)
      continue
    }
    const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => own)
    if (namespace === own) continue
    const [place] = await mountsOf(`/proc/${pid}/mountinfo`, numbers, names)
    if (place !== undefined) users.push(`mounted at ${place} for process ${pid} (${await command()})`)
  }
  return users
}

async function hasOpen(pid: string, files: ReadonlySet<string>): Promise<boolean> {
  const folder = `/proc/${pid}/fd`
  for (const fd of await readdir(folder).catch(() => [])) {
    if (files.has(await readlink(`${folder}/${fd}`).catch(() => ''))) return true
  }
  return false
}
