import type { MultipathOptions, Rates } from '@blockbraid/core'

/** A plugin named in a config, and its options. */
export interface PluginUse {
  /** A short name such as `round-robin`, an npm module, or a file: `./my-policy.ts`. */
  readonly use: string
  /** Given to the plugin's factory. */
  readonly options: Readonly<Record<string, unknown>>
  /** Where it stands, for messages: `file:line:column`. */
  readonly at?: string
  /** The same of each of its options, of a policy that has some. */
  readonly places?: Readonly<Record<string, string>>
}

/** What to pair, and how. */
export interface DeviceConfig {
  /** `*`: every volume no other entry names; else a volume's identity, or a path's id. */
  readonly volume: string
  /** Name of the pair, with `{volume}`, `{serial}`, `{lun}` and `{n}` to fill in. */
  readonly name: string
  /** Left out: the first usable path takes all I/O. */
  readonly policy?: PluginUse
  /** Texts in its options may hold `{name}` and what names may hold. */
  readonly transport: PluginUse
  /** Time-outs and weights of the multipath device. */
  readonly multipath?: MultipathOptions
  /** What I/O of the pair is held to. */
  readonly rates?: Rates
  /** Whether the volume may have another pair, of an entry that says so too. @defaultValue false */
  readonly shared?: boolean
  /** Where it stands, for messages: `file:line:column`. */
  readonly at?: string
}

/** What an agent runs: read from a file by `loadConfig`, or made by a program. */
export interface Config {
  /** Folder from which plugins are looked up, absolute. */
  readonly folder: string
  /** Path of the control socket; left out: none. */
  readonly control?: string
  /**
   * Folder in which is kept which volume each name belongs to, see `defaultStateFolder`. Left out, or `false`: that is
   * known only as long as the agent lives.
   */
  readonly state?: string | false
  /** Storage systems to reach. */
  readonly targets: readonly PluginUse[]
  /** What to pair of what they offer. */
  readonly devices: readonly DeviceConfig[]
  /** As in `HostAgentOptions.same` of core. */
  readonly same?: readonly (readonly string[])[]
  /** As in `HostAgentOptions.distinct` of core. */
  readonly distinct?: readonly (readonly string[])[]
}
