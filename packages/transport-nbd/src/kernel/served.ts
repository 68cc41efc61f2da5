/**
 * Backends of the nodes that this process serves now, by their index: the next node of that number may be there
 * before the end of the last one is known. A record tells only that it once did.
 */
const served = new Map<number, string>()

/** Whether this process serves that node. */
export function isServedHere(index: number, backend: string): boolean {
  return served.get(index) === backend
}

/** From now on this process serves it. */
export function beginServing(index: number, backend: string): void {
  served.set(index, backend)
}

/** This process does not serve it any more. */
export function endServing(index: number, backend: string): void {
  if (isServedHere(index, backend)) served.delete(index)
}
