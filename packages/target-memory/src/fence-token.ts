import { BlockError } from '@blockbraid/core'

// Arrays live in the memory of one process, which these tell apart from another of the same number.
const PROCESS = `${process.pid}-${Math.round(performance.timeOrigin)}`
let arrays = 0

/** Names an array so that no other, in this process or in another, has the name. */
export function arrayMark(name: string): string {
  return `memory:${name}/${PROCESS}/${++arrays}`
}

/** The fence token of a connection of the array with that mark. */
export function fenceToken(mark: string, connection: number): string {
  return `${mark}/connection ${connection}`
}

/**
 * The connection, of 1 to `last`, that a token names; 0 where it was one of an array of the same name in another process, whose memory
 * has ended with it. Throws NOT_SUPPORTED for tokens of anything else.
 */
export function connectionOf(token: string, mark: string, last: number): number {
  const words = /^(memory:[A-Za-z0-9._-]+\/)(\d+-\d+)(\/\d+)\/connection ([1-9]\d{0,14})$/.exec(token)
  const [name] = mark.split(PROCESS)
  if (words !== null && words[1] === name) {
    if (words[2] !== PROCESS) return 0
    const connection = Number(words[4])
    if (`${words[1]}${words[2]}${words[3]}` === mark && connection <= last) return connection
  }
  throw new BlockError('NOT_SUPPORTED', `${JSON.stringify(token)} is no connection of ${mark}`)
}
