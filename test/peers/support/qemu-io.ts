import type { Ended } from './tools.ts'
import { run, start, succeed } from './tools.ts'

// With its default, write-through, qemu-io would set FUA on every write by itself.
const raw = (uri: string): string[] => ['-t', 'writeback', '-f', 'raw', uri]

/** Runs qemu-io commands that must all succeed; resolves to what it printed. */
export function qemuIo(uri: string, ...commands: string[]): Promise<string> {
  return succeed('qemu-io', [...commands.flatMap((command) => ['-c', command]), ...raw(uri)])
}

/** Runs one qemu-io command, whatever comes of it. */
export function tryQemuIo(uri: string, command: string): Promise<Ended> {
  return run('qemu-io', ['-c', command, ...raw(uri)])
}

/** A qemu-io that is told commands one by one. */
export interface QemuIoSession {
  /** Settles with what it printed about a command, when it is done. */
  ask(command: string): Promise<string>
  /** Ends it without the flush of a good end. */
  kill(): Promise<Ended>
}

const PROMPT = 'qemu-io> '

/** Starts qemu-io. It reads no further than it has answered: commands must wait for one another. */
export function startQemuIo(uri: string): Promise<QemuIoSession> {
  return startQemuIoWith(raw(uri))
}

/** The same with arguments of the caller's own. */
export async function startQemuIoWith(args: readonly string[]): Promise<QemuIoSession> {
  const child = start('qemu-io', args)
  let seen = 0
  const prompt = async (): Promise<string> => {
    await child.printed((stdout) => stdout.includes(PROMPT, seen))
    const at = child.stdout.indexOf(PROMPT, seen)
    const answer = child.stdout.slice(seen, at)
    seen = at + PROMPT.length
    return answer
  }
  await prompt()
  return {
    ask(command) {
      child.say(command)
      return prompt()
    },
    kill() {
      child.kill('SIGKILL')
      return child.ended
    },
  }
}
