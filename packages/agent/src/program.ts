import { BlockError, messageOf } from '@blockbraid/core'
import { Command, CommanderError, Help } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { demo } from './commands/demo.ts'
import { discover } from './commands/discover.ts'
import { down } from './commands/down.ts'
import { guards } from './commands/guards.ts'
import { forgetName, names } from './commands/names.ts'
import { nodes } from './commands/nodes.ts'
import { policy } from './commands/policy.ts'
import { failPath, ls, pairAgain, prove, rescan, restorePath, stats } from './commands/remote.ts'
import { top } from './commands/top.ts'
import { up } from './commands/up.ts'
import { defaultType, forms, reservationTypes } from './scsi/forms.ts'
import type { Terminal } from './terminal/terminal.ts'
import { UsageError } from './terminal/terminal.ts'

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
    terminal.err(`blockbraid: ${interrupted ? 'interrupted' : messageOf(error).split('\n')[0]}`)
    return error instanceof UsageError ? ExitCode.usage : ExitCode.failed
  }
}

const addressHelp = `
Addresses:
  memory:[name]?volumes=2&size=1GiB&ports=4        the simulated array
  iscsi://[user[%secret]@]host[:3260]/[iqn[/lun]]  a secret that is left out is
                                                   taken from ISCSI_CHAP_SECRET`

const topHelp = `
Keys:
  j k, arrows, PgUp PgDn, Home End   scroll
  n i m l e                          sort by name, IOPS, MB/s, latency, errors
  r p q                              reverse the order, show paths, quit`

const pathHelp = `
A path is named by its id, or by any part of it that no other path of the pair has.`

function scsiHelp(): string {
  const width = Math.max(...forms.map(([words]) => words.length)) + 2
  const lines = forms.map(([words, what]) => `  ${words.padEnd(width)}${what}`)
  return `\nWhat:\n${lines.join('\n')}\n\nTypes:\n${Object.keys(reservationTypes)
    .map((name) => `  ${name}${name === defaultType ? ' (where none is named)' : ''}`)
    .join('\n')}`
}

function isAbort(error: unknown): boolean {
  return BlockError.is(error) ? error.code === 'ABORTED' : error instanceof Error && error.name === 'AbortError'
}

function build(terminal: Terminal): Command {
  const program = new Command('blockbraid')
    .description('User-space multipath block storage: several paths to a volume, one device.')
    .version(manifest.version, '-V, --version', 'show the version')
    .helpCommand(false)
    .helpOption('-h, --help', 'show this, or the help of a command')
    .configureHelp({
      helpWidth: Math.min(terminal.columns, 80),
      // What it is stands right below the usage: all of it fits one screen.
      commandDescription: (command) => (command.parent === null ? '' : command.description()),
      formatHelp: (command, helper) => {
        const text = new Help().formatHelp.call(helper, command, helper)
        return command.parent === null ? text.replace('\n\nCommands:', '\nCommands:') : text
      },
      commandUsage: (command) => {
        const usage = new Help().commandUsage(command)
        return command.parent === null ? `${usage}\n${command.description()}` : usage
      },
      subcommandTerm: (command) =>
        [
          command.name(),
          ...command.registeredArguments.map((argument) => `<${argument.name()}${argument.variadic ? '...' : ''}>`),
        ].join(' '),
    })
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) =>
        terminal.err(
          text
            .trimEnd()
            .replace(/^error: /, 'blockbraid: ')
            .replace('\n(', ' ('),
        ),
    })
    .exitOverride()

  const json = (command: Command): Command => command.option('--json', 'print JSON')
  const remote = (command: Command): Command =>
    json(command).option('--control <path>', 'control socket of the agent to talk to')

  json(program.command('demo').description('show it on a simulated array: I/O while paths fail')).action((options) =>
    demo(terminal, options),
  )
  json(program.command('discover <url...>').description('list volumes at memory:, iscsi:, nvme-tcp: addresses'))
    .addHelpText('after', addressHelp)
    .action((urls, options) => discover(terminal, options, urls))
  json(program.command('up <config>').description('run an agent as a YAML file says, until Ctrl-C'))
    .option('--control <path>', 'control socket to listen on')
    .option('--take-over', 'have an agent that runs there leave its kernel nodes and end first')
    .action((file, options) => up(terminal, options, file))
  remote(program.command('ls [pair...]').description('show pairs and their paths'))
    .option('--short', 'a line for each: state, how many of its paths are up, node')
    .action((pairs, options) => ls(terminal, options, pairs))
  remote(program.command('stats').description('show counters and latencies of paths')).action((options) =>
    stats(terminal, options),
  )
  remote(program.command('top').description('show pairs again every second'))
    .addHelpText('after', topHelp)
    .action((options) => top(terminal, options))
  remote(program.command('policy <pair> <name>').description('exchange the policy of a pair under I/O'))
    .option('--option <key=value>', 'an option of the policy; again for each', (one, all: string[] = []) => [
      ...all,
      one,
    ])
    .action((pair, name, options) => policy(terminal, options, pair, name))
  const path = program
    .command('path')
    .description('fail <pair> <path>, restore <pair> <path>')
    .addHelpText('after', pathHelp)
    .helpCommand(false)
  remote(path.command('fail <pair> <path>').description('take a path out until it is restored')).action(
    (pair, id, options) => failPath(terminal, options, pair, id),
  )
  remote(path.command('restore <pair> <path>').description('let a path connect again, now')).action(
    (pair, id, options) => restorePath(terminal, options, pair, id),
  )
  remote(program.command('guards [pair]').description('list ranges where a write may still land'))
    .option('--release', 'let I/O to those ranges of <pair> go: only where nothing can land any more')
    .action((pair, options) => guards(terminal, options, pair))
  remote(program.command('rescan').description('ask the targets again; pair what is new')).action((options) =>
    rescan(terminal, options),
  )
  json(program.command('nodes').description('list kernel nodes of this host, also without an agent')).action(
    (options) => nodes(terminal, options),
  )
  const kept = json(program.command('names').description('list names of volumes; forget <name> lets one go'))
    .option('--state <folder>', 'folder that a config names as state')
    .option('--control <path>', 'names of the agent of that control socket only')
    .helpCommand(false)
    .action((options) => names(terminal, options))
  kept
    .command('forget <name>')
    .description('let another volume have a name whose pair is not up; takes the same options')
    .action((name, _options, command) => forgetName(terminal, command.optsWithGlobals(), name))
  remote(program.command('down <pair>').description('end a pair, or an orphaned node; pair <pair> undoes it'))
    .option('--force', 'also where it is in use: whoever uses it gets EIO')
    .action((pair, options) => down(terminal, options, pair))
  // The line of `down` tells of it: all of it fits one screen.
  remote(
    program.command('pair <pair>', { hidden: true }).description('make a pair again that was taken down or lost'),
  ).action((pair, options) => pairAgain(terminal, options, pair))
  remote(program.command('prove <device...>').description('find out whether paths lead to one volume'))
    .option('--write <offset>', 'write a block there for a moment: the only proof; nobody may use it')
    .action((devices, options) => prove(terminal, options, devices))
  remote(program.command('scsi <pair> <what...>').description('send a SCSI command, show the answer in words'))
    .option('--path <id>', 'send it through this path only')
    .option('--key <hex>', 'pr: key of this host')
    .option('--victim <hex>', 'pr preempt: key of the other host')
    .option('--type <name>', 'pr: type of the reservation')
    .option('--in <bytes>', 'raw: how many bytes to receive')
    .option('--out <hex>', 'raw: bytes to send')
    .addHelpText('after', scsiHelp())
    .action(async (pair, words, options) => {
      // Its decoders are only read in where they are needed.
      const { scsi } = await import('./commands/scsi.ts')
      await scsi(terminal, options, pair, words)
    })
  // No empty line before it: all of it fits one screen.
  program.addHelpText('after', 'Exit codes: 0 done, 1 failed, 2 wrong usage. Options: --json, --control <path>')
  return program
}
