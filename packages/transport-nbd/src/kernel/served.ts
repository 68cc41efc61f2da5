/** Indexes of the nodes that this process serves now. A record tells only that it once did. */
export const servedHere = new Set<number>()
