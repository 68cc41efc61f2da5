let told = false

/** Says once that this process goes without the native part of `@blockbraid/linux`, and why. */
export function tellNoAddon(error: Error): void {
  if (told) return
  told = true
  process.emitWarning(`connections are slower: ${error.message}`, { code: 'BLOCKBRAID_NO_ADDON' })
}
