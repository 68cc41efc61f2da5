import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Kernel } from './kernels.ts'

/** A file or folder of the archive. */
interface Entry {
  readonly name: string
  readonly mode: number
  readonly data?: Buffer
}

const FOLDER = 0o040755
const PROGRAM = 0o100755

const init = new URL('init.sh', import.meta.url)
const folders = ['bin', 'dev', 'lower', 'modules', 'new', 'proc', 'rw', 'sys']

/** What the kernel starts from: busybox, the modules that bring the host's files, the init, and `files` at the root. */
export async function makeInitramfs(kernel: Kernel, files: Readonly<Record<string, string>>): Promise<Buffer> {
  const entries: Entry[] = folders.map((name) => ({ name, mode: FOLDER }))
  entries.push({ name: 'bin/busybox', mode: PROGRAM, data: await readFile(join(kernel.folder, kernel.busybox)) })
  entries.push({ name: 'init', mode: PROGRAM, data: await readFile(init) })
  for (const [name, data] of Object.entries(files)) entries.push({ name, mode: PROGRAM, data: Buffer.from(data) })
  for (const [at, file] of kernel.bootModules.entries()) {
    const name = `modules/${at.toString().padStart(2, '0')}.ko`
    entries.push({ name, mode: PROGRAM, data: await readFile(join(kernel.folder, file)) })
  }
  return archive(entries)
}

/** An archive in the "newc" form of cpio (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). */
function archive(entries: readonly Entry[]): Buffer {
  const parts = entries.flatMap((entry, at) => member(entry, at + 1))
  return Buffer.concat([...parts, ...member({ name: 'TRAILER!!!', mode: 0 }, 0)])
}

function member({ name, mode, data = Buffer.alloc(0) }: Entry, inode: number): Buffer[] {
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length + 1, 0]
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`
  return [padded(Buffer.from(header)), padded(data)]
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc(-data.length & 3)])
}
