/** Copies what a device has left into the views that are to be filled, in order. */
export function scatter(from: readonly Uint8Array[], into: readonly Uint8Array[]): void {
  let index = 0
  let at = 0
  for (const view of from) {
    for (let taken = 0; taken < view.length && index < into.length; ) {
      const target = into[index] as Uint8Array
      const count = Math.min(view.length - taken, target.length - at)
      target.set(view.subarray(taken, taken + count), at)
      taken += count
      at += count
      if (at < target.length) continue
      index++
      at = 0
    }
  }
}
