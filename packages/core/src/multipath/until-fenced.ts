import type { Path } from '../target.ts'

/** How a fence that fails is asked for again. */
export interface FenceTries {
  failed(error: unknown): void
  /** Whether it is asked for again; where not, it never settles. */
  goesOn(): boolean
  /** Settles when it is time for the next try. */
  pause(): Promise<void>
}

/** Settles when a path is fenced; `closing` is the first try. */
export async function untilFenced(path: Path, closing: Promise<void>, tries: FenceTries): Promise<void> {
  for (let fence = closing; ; fence = path.close()) {
    try {
      return await fence
    } catch (error) {
      tries.failed(error)
      if (!tries.goesOn()) return new Promise(() => {})
      await tries.pause()
    }
  }
}
