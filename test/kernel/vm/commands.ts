import { execFile } from 'node:child_process'

/** Options of {@link output}. */
export interface OutputOptions {
  readonly cwd?: string
  /** What it reads on its standard input. */
  readonly input?: Buffer
}

/** Runs a program to its end; resolves to what it printed, rejects with what it complained of. */
export function output(command: string, args: readonly string[], { cwd, input }: OutputOptions = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { cwd, encoding: 'buffer', maxBuffer: 2 ** 30 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(`${command} ${args.join(' ')}: ${stderr.toString().trim() || error.message}`))
    })
    // A program that ends early does not read all it is given.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

/** What a program printed, as text. */
export async function text(command: string, args: readonly string[], options?: OutputOptions): Promise<string> {
  return (await output(command, args, options)).toString()
}

/** Whether a program can be run. */
export async function canRun(command: string): Promise<boolean> {
  return await output('sh', ['-c', 'command -v "$1"', 'sh', command]).then(
    () => true,
    () => false,
  )
}
