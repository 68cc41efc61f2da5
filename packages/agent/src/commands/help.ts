import type { Command, HelpConfiguration, OutputConfiguration } from 'commander'
import { Help } from 'commander'
import { forms as arrayForms } from '../array/forms.ts'
import { defaultType } from '../by-hand/reservation-types.ts'
import { forms as nvmeForms, reservationTypes as nvmeTypes } from '../nvme/forms.ts'
import { forms as scsiForms, reservationTypes as scsiTypes } from '../scsi/forms.ts'
import type { Terminal } from '../terminal/terminal.ts'

/** Stands below the help of `discover`. */
export const addressHelp = `
Addresses:
  memory:[name]?volumes=2&size=1GiB&ports=4        the simulated array
  iscsi://[user[%secret]@]host[:3260]/[iqn[/lun]]  a secret that is left out is
                                                   taken from ISCSI_CHAP_SECRET
  nvme-tcp://host[:port]/[nqn[/nsid]]              port 4420; without an nqn a
                                                   discovery controller, 8009`

/** Stands below the help of `top`. */
export const topHelp = `
Keys:
  j k, arrows, PgUp PgDn, Home End   scroll
  n i m l e                          sort by name, IOPS, MB/s, latency, errors
  r p q                              reverse the order, show paths, quit`

/** Stands below the help of `limit`. */
export const limitHelp = `
What, each of them alone or together; without any it shows what is set:
  iops=5000        I/Os a second; a flush counts as one
  bytes=200MiB/s   bytes read and written a second
  burst=500ms      how much may go at once, in time of the rates (100ms)
  iops=none, none  lifts one of them, lifts all`

/** Stands below the help of `path`. */
export const pathHelp = `
A path is named by its id, or by any part of it that no other path of the pair has.`

/** Stands below the help of `scsi`. */
export function scsiHelp(): string {
  return `\nWhat:\n${table(scsiForms)}\n\nTypes:\n${typeLines(scsiTypes)}`
}

/** Stands below the help of `nvme`. */
export function nvmeHelp(): string {
  return `\nWhat:\n${table(nvmeForms)}\n\nTypes:\n${typeLines(nvmeTypes)}`
}

function typeLines(types: Readonly<Record<string, number>>): string {
  return Object.keys(types)
    .map((name) => `  ${name}${name === defaultType ? ' (where none is named)' : ''}`)
    .join('\n')
}

/** Stands below the help of `array`. */
export function arrayHelp(): string {
  return `\nWhat, told to an array that runs; N and V may be "all":\n${table(arrayForms)}`
}

function table(rows: readonly (readonly [words: string, what: string])[]): string {
  const width = Math.max(...rows.map(([words]) => words.length)) + 2
  return rows.map(([words, what]) => `  ${words.padEnd(width)}${what}`).join('\n')
}

/** How help is set: all of the command's own fits one screen. */
export function helpFor({ columns }: Terminal): HelpConfiguration {
  return {
    helpWidth: Math.min(columns, 80),
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
    subcommandTerm: termOf,
    // Its own two stand in the last line.
    visibleOptions: (command) => (command.parent === null ? [] : new Help().visibleOptions(command)),
  }
}

function termOf(command: Command): string {
  const words = command.registeredArguments.map((argument) => `<${argument.name()}${argument.variadic ? '...' : ''}>`)
  return [command.name(), ...words].join(' ')
}

/** Where help and wrong usage are told, and in which words. */
export function outputTo(terminal: Terminal): OutputConfiguration {
  return {
    writeOut: (text) => terminal.out(text.trimEnd()),
    writeErr: (text) =>
      terminal.err(
        text
          .trimEnd()
          .replace(/^error: /, 'blockbraid: ')
          .replace('\n(', ' ('),
      ),
  }
}
