import { BlockError, messageOf } from '@blockbraid/core'
import { Command, CommanderError } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import {
  addressHelp,
  arrayHelp,
  helpFor,
  limitHelp,
  nvmeHelp,
  outputTo,
  pathHelp,
  scsiHelp,
  topHelp,
} from './commands/help.ts'
import type { Terminal } from './terminal/terminal.ts'
import { UsageError } from './terminal/terminal.ts'
import { fold } from './text/facts.ts'

/** Exit codes of the command. */
export const ExitCode = { done: 0, failed: 1, usage: 2 } as const

/** Runs the command with its arguments, without node's own two; returns the exit code. */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await build(terminal).parseAsync(args, { from: 'user' })
    return ExitCode.done
  } catch (error) {
    // Commander has printed its own by now.
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage
    const interrupted = terminal.interrupted.aborted && isAbort(error)
    const text = `blockbraid: ${interrupted ? 'interrupted' : messageOf(error).split('\n')[0]}`
    // What is on two lines by itself is read as it is.
    const long = terminal.interactive && text.length > 2 * terminal.columns
    terminal.err(long ? fold(text, terminal.columns) : text)
    return error instanceof UsageError ? ExitCode.usage : ExitCode.failed
  }
}

function isAbort(error: unknown): boolean {
  return BlockError.is(error) ? error.code === 'ABORTED' : error instanceof Error && error.name === 'AbortError'
}

// A command's own files are only read in when it is run: an agent that runs for months has none of the others in memory.
function build(terminal: Terminal): Command {
  const program = new Command('blockbraid')
    .description('User-space multipath block storage: several paths to a volume, one device.')
    .version(manifest.version, '-V, --version', 'show the version')
    .helpCommand(false)
    .helpOption('-h, --help', 'show this, or the help of a command')
    .configureHelp(helpFor(terminal))
    .configureOutput(outputTo(terminal))
    .exitOverride()
  // In this order they stand in the help.
  addBeginnings(program, terminal)
  addLooks(program, terminal)
  addChanges(program, terminal)
  addHost(program, terminal)
  addEnds(program, terminal)
  addQuestions(program, terminal)
  addArray(program, terminal)
  // No empty line before it: all of it fits one screen.
  program.addHelpText('after', 'Options: --json, --control <path>; --help, also of a command; --version')
  program.addHelpText('after', 'Exit codes: 0 done, 1 failed, 2 wrong usage')
  return program
}

function json(command: Command): Command {
  return command.option('--json', 'print JSON')
}

function remote(command: Command): Command {
  return json(command).option('--control <path>', 'control socket of the agent to talk to')
}

function addBeginnings(program: Command, terminal: Terminal): void {
  json(program.command('demo').description('show it on a simulated array: I/O while paths fail')).action(
    async (options) => {
      const { demo } = await import('./commands/demo.ts')
      await demo(terminal, options)
    },
  )
  json(program.command('discover <url...>').description('list volumes at memory:, iscsi:, nvme-tcp: addresses'))
    .addHelpText('after', addressHelp)
    .action(async (urls, options) => {
      const { discover } = await import('./commands/discover.ts')
      await discover(terminal, options, urls)
    })
  json(program.command('up <config>').description('run an agent as a YAML file says, until Ctrl-C'))
    .option('--control <path>', 'control socket to listen on')
    .option('--take-over', 'have an agent that runs there leave its kernel nodes and end first')
    .action(async (file, options) => {
      const { up } = await import('./commands/up.ts')
      await up(terminal, options, file)
    })
}

function addLooks(program: Command, terminal: Terminal): void {
  remote(program.command('ls [pair...]').description('show pairs and their paths'))
    .option('--short', 'a line for each: state, how many of its paths are up, node')
    .action(async (pairs, options) => {
      const { ls } = await import('./commands/ls.ts')
      await ls(terminal, options, pairs)
    })
  remote(program.command('stats').description('show counters and latencies of paths')).action(async (options) => {
    const { stats } = await import('./commands/stats.ts')
    await stats(terminal, options)
  })
  remote(program.command('why <pair>').description('tell which path is bad and why; trace <pair> <file>')).action(
    async (pair, options) => {
      const { why } = await import('./commands/why.ts')
      await why(terminal, options, pair)
    },
  )
  // The line of `why` tells of it: all of it fits one screen.
  remote(
    program
      .command('trace <pair> <file>', { hidden: true })
      .description('write each I/O of a pair, why it took which path and how it ended, until Ctrl-C'),
  )
    .option('--seconds <number>', 'end it after that time')
    .action(async (pair, file, options) => {
      const { trace } = await import('./commands/trace.ts')
      await trace(terminal, options, pair, file)
    })
  remote(program.command('top').description('show pairs again every second'))
    .addHelpText('after', topHelp)
    .action(async (options) => {
      const { top } = await import('./commands/top.ts')
      await top(terminal, options)
    })
}

function addChanges(program: Command, terminal: Terminal): void {
  remote(program.command('policy <pair> <name>').description('exchange the policy; limit <pair> caps IOPS and bytes'))
    .option('--option <key=value>', 'an option of the policy; again for each', (one, all: string[] = []) => [
      ...all,
      one,
    ])
    .action(async (pair, name, options) => {
      const { policy } = await import('./commands/policy.ts')
      await policy(terminal, options, pair, name)
    })
  // The line of `policy` tells of it: all of it fits one screen.
  remote(
    program
      .command('limit <pair> [what...]', { hidden: true })
      .description('hold a pair to I/Os and bytes a second, under I/O'),
  )
    .addHelpText('after', limitHelp)
    .action(async (pair, words, options) => {
      const { limit } = await import('./commands/limit.ts')
      await limit(terminal, options, pair, words)
    })
  const path = program
    .command('path')
    .description('fail <pair> <path>, restore <pair> <path>, back <pair>')
    .addHelpText('after', pathHelp)
    .helpCommand(false)
  remote(path.command('fail <pair> <path>').description('take a path out until it is restored')).action(
    async (pair, id, options) => {
      const { failPath } = await import('./commands/path.ts')
      await failPath(terminal, options, pair, id)
    },
  )
  remote(path.command('restore <pair> <path>').description('let a path connect again, now')).action(
    async (pair, id, options) => {
      const { restorePath } = await import('./commands/path.ts')
      await restorePath(terminal, options, pair, id)
    },
  )
  remote(
    path.command('back <pair>').description('let I/O go back to the best paths now, whatever failback says'),
  ).action(async (pair, options) => {
    const { failBack } = await import('./commands/path.ts')
    await failBack(terminal, options, pair)
  })
  remote(program.command('guards [pair]').description('list ranges where a write may still land'))
    .option('--release', 'let I/O to those ranges of <pair> go: only where nothing can land any more')
    .action(async (pair, options) => {
      const { guards } = await import('./commands/guards.ts')
      await guards(terminal, options, pair)
    })
  remote(program.command('rescan').description('ask the targets again; pair what is new')).action(async (options) => {
    const { rescan } = await import('./commands/rescan.ts')
    await rescan(terminal, options)
  })
}

function addHost(program: Command, terminal: Terminal): void {
  json(program.command('nodes').description('list kernel nodes of this host, also without an agent')).action(
    async (options) => {
      const { nodes } = await import('./commands/nodes.ts')
      await nodes(terminal, options)
    },
  )
  const kept = json(program.command('names').description('list names of volumes; forget <name> lets one go'))
    .option('--state <folder>', 'folder that a config names as state')
    .option('--control <path>', 'names of the agent of that control socket only')
    .helpCommand(false)
    .action(async (options) => {
      const { names } = await import('./commands/names.ts')
      await names(terminal, options)
    })
  kept
    .command('forget <name>')
    .description('let another volume have a name whose pair is not up; takes the same options')
    .action(async (name, _options, command) => {
      const { forgetName } = await import('./commands/names.ts')
      await forgetName(terminal, command.optsWithGlobals(), name)
    })
}

function addArray(program: Command, terminal: Terminal): void {
  json(program.command('array <file> [what...]').description('serve simulated arrays as a YAML file says, break them'))
    .option('--control <path>', 'socket for commands to it')
    .addHelpText('after', arrayHelp())
    .action(async (file, words, options) => {
      const { array } = await import('./commands/array.ts')
      await array(terminal, options, file, words)
    })
}

function addEnds(program: Command, terminal: Terminal): void {
  remote(program.command('down <pair>').description('end a pair, or an orphaned node; pair <pair> undoes it'))
    .option('--force', 'also where it is in use: whoever uses it gets EIO')
    .action(async (pair, options) => {
      const { down } = await import('./commands/down.ts')
      await down(terminal, options, pair)
    })
  // The line of `down` tells of it: all of it fits one screen.
  remote(
    program.command('pair <pair>', { hidden: true }).description('make a pair again that was taken down or lost'),
  ).action(async (pair, options) => {
    const { pairAgain } = await import('./commands/pair.ts')
    await pairAgain(terminal, options, pair)
  })
}

function addQuestions(program: Command, terminal: Terminal): void {
  remote(program.command('prove <device...>').description('find out whether paths lead to one volume'))
    .option('--write <offset>', 'write a block there for a moment: the only proof; nobody may use it')
    .action(async (devices, options) => {
      const { prove } = await import('./commands/prove.ts')
      await prove(terminal, options, devices)
    })
  sending(program.command('scsi <pair> <what...>').description('send a SCSI command, show the answer in words'))
    .option('--key <hex>', 'pr: key of this host')
    .option('--victim <hex>', 'pr preempt: key of the other host')
    .option('--type <name>', 'pr: type of the reservation')
    .addHelpText('after', scsiHelp())
    .action(async (pair, words, options) => {
      const { scsi } = await import('./commands/scsi.ts')
      await scsi(terminal, options, pair, words)
    })
  sending(program.command('nvme <pair> <what...>').description('send an NVMe command, show the answer in words'))
    .option('--nsid <number>', 'namespace, where a path does not tell it')
    .option('--key <hex>', 'resv-*: key of this host')
    .option('--victim <hex>', 'resv-preempt: key of the other host')
    .option('--type <name>', 'resv-*: type of the reservation')
    .addHelpText('after', nvmeHelp())
    .action(async (pair, words, options) => {
      const { nvme } = await import('./commands/nvme.ts')
      await nvme(terminal, options, pair, words)
    })
}

function sending(command: Command): Command {
  return remote(command)
    .option('--path <id>', 'send it through this path only')
    .option('--in <bytes>', 'raw: how many bytes to receive')
    .option('--out <hex>', 'raw: bytes to send')
}
