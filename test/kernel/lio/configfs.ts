import { existsSync, mkdirSync, readFileSync, rmdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** Where the kernel's target is configured. */
export const ROOT = '/sys/kernel/config/target'

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
    throw new Error(`LIO refuses ${value} in ${join(path, name)}: ${(cause as Error).message}`, { cause })
  }
}

/** Reads an attribute. */
export function get(path: string, name: string): string {
  return readFileSync(join(path, name), 'utf8').trim()
}

/** Ties an object to another. */
export function link(target: string, path: string): void {
  symlinkSync(target, join(path, basename(target)))
}

/** Undoes {@link link}. */
export function unlink(target: string, path: string): void {
  const name = join(path, basename(target))
  if (existsSync(name)) unlinkSync(name)
}

/** Removes an object, where it is. */
export function remove(path: string): void {
  if (existsSync(path)) rmdirSync(path)
}
