import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { rmdir, unlink as unlinkFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

/** Makes a folder of configfs, which is how its objects are made, and sets attributes of it. */
export function make(path: string, attributes: Readonly<Record<string, string | number>> = {}): string {
  // Its parent in configfs may have to be made by hand too.
  mkdirSync(path, { recursive: true })
  for (const [name, value] of Object.entries(attributes)) set(path, name, value)
  return path
}

/** Sets an attribute; the error of a refusal names it. */
export function set(path: string, name: string, value: string | number): void {
  try {
    // Without a newline: LIO would take it for a part of a password.
    writeFileSync(join(path, name), String(value))
  } catch (cause) {
    throw new Error(`the kernel refuses ${value} in ${join(path, name)}: ${(cause as Error).message}`, { cause })
  }
}

/** The same where the kernel answers only after initiators have been heard, of which this process may be one. */
export function change(path: string, name: string, value: string | number): Promise<void> {
  return writeFile(join(path, name), String(value))
}

/** Reads an attribute. */
export function get(path: string, name: string): string {
  return readFileSync(join(path, name), 'utf8').trim()
}

/** Ties an object to another. */
export function link(target: string, path: string): void {
  symlinkSync(target, join(path, basename(target)))
}

/** Undoes {@link link}; initiators are heard meanwhile. */
export async function unlink(target: string, path: string): Promise<void> {
  const name = join(path, basename(target))
  if (existsSync(name)) await unlinkFile(name)
}

/** Removes an object, where it is; initiators are heard meanwhile. */
export async function remove(path: string): Promise<void> {
  if (existsSync(path)) await rmdir(path)
}
