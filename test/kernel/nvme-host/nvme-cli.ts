// The kernel's own NVMe/TCP initiator with native multipath, through nvme-cli.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { judge, openRoot, ROOT, startJudge } from '../judges/root.ts'

/** Name and number of the kernel's initiator. */
export const LINUX = 'nqn.2014-08.org.nvmexpress:uuid:0b10c4b1-a1d0-4000-8000-000000000001'
export const LINUX_ID = '0b10c4b1-a1d0-4000-8000-000000000001'

let started: Promise<void> | undefined

/** Makes nvme-cli usable; to be done before the rest. */
export function openNvmeCli(): Promise<void> {
  return (started ??= run())
}

async function run(): Promise<void> {
  await openRoot()
  mkdirSync(join(ROOT, 'etc/nvme'), { recursive: true })
  writeFileSync(join(ROOT, 'etc/nvme/hostnqn'), `${LINUX}\n`)
  writeFileSync(join(ROOT, 'etc/nvme/hostid'), `${LINUX_ID}\n`)
}

/** Runs `nvme`; resolves to what it printed, rejects with its words where it fails. */
export function nvme(...args: readonly string[]): Promise<string> {
  return judge('nvme', ...args)
}

/** What `nvme` prints as JSON. */
export async function nvmeJson(...args: readonly string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await nvme(...args, '--output-format=json')) as Record<string, unknown>
}

/** Words of an `nvme` that must fail. */
export async function nvmeRefused(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await startJudge('nvme', args).ended
  if (code === 0) throw new Error(`nvme ${args.join(' ')} did not fail: ${stdout}`)
  return stderr + stdout
}

/** Connects to a subsystem through a portal; `options` are those of `nvme connect`, such as `{ 'nr-io-queues': 2 }`. */
export async function connect(
  nqn: string,
  portal: string,
  options: Readonly<Record<string, string | number | true>> = {},
): Promise<void> {
  const at = portal.lastIndexOf(':')
  const address = [`--traddr=${portal.slice(0, at)}`, `--trsvcid=${portal.slice(at + 1)}`]
  // The tests heal what they break; the kernel gives up after ten minutes otherwise.
  const patient: typeof options = { 'reconnect-delay': 1, 'ctrl-loss-tmo': 600, ...options }
  const words = Object.entries(patient).map(([name, value]) => (value === true ? `--${name}` : `--${name}=${value}`))
  await nvme('connect', '--transport=tcp', ...address, `--nqn=${nqn}`, ...words)
}

/** A controller of the kernel's initiator. */
export interface HostController {
  /** Such as `nvme0`. */
  readonly name: string
  /** `ADDRESS:PORT`. */
  readonly portal: string
  /** `live`, `connecting`, `deleting`, … */
  readonly state: string
}

const CLASS = '/sys/class/nvme'

/** Controllers that the kernel has for a subsystem. */
export function controllersOf(nqn: string): HostController[] {
  if (!existsSync(CLASS)) return []
  return readdirSync(CLASS)
    .sort()
    .flatMap((name) => {
      const read = (file: string): string => readFileSync(join(CLASS, name, file), 'utf8').trim()
      try {
        if (read('subsysnqn') !== nqn) return []
        const [, host = '', port = ''] = /traddr=([^,]+),trsvcid=(\d+)/.exec(read('address')) ?? []
        return [{ name, portal: `${host}:${port}`, state: read('state') }]
      } catch {
        // It has just gone.
        return []
      }
    })
}

/** A namespace of a subsystem, as native multipath shows it. */
export interface HostNamespace {
  /** Such as `nvme0n1`, over all paths. */
  readonly name: string
  readonly nsid: number
  /** ANA state by the portal that a path leads through. */
  readonly paths: ReadonlyMap<string, string>
}

/** Namespaces that the kernel has of a subsystem, by their numbers. */
export function namespacesOf(nqn: string): HostNamespace[] {
  const controllers = controllersOf(nqn)
  const folders = controllers.flatMap(({ name, portal }) =>
    // nvme0c1n1 is the path of nvme0n1 through controller 1.
    readdirSync(join(CLASS, name))
      .map((entry) => ({ entry, match: /^(nvme\d+)c\d+(n\d+)$/.exec(entry) }))
      .flatMap(({ entry, match }) =>
        match === null ? [] : [{ head: `${match[1]}${match[2]}`, path: join(CLASS, name, entry), portal }],
      ),
  )
  const found = new Map<string, { nsid: number; paths: Map<string, string> }>()
  for (const { head, path, portal } of folders) {
    try {
      const read = (file: string): string => readFileSync(join(path, file), 'utf8').trim()
      const namespace = found.get(head) ?? { nsid: Number(read('nsid')), paths: new Map<string, string>() }
      found.set(head, namespace)
      namespace.paths.set(portal, read('ana_state'))
    } catch {
      // It has just gone.
    }
  }
  return [...found].map(([name, { nsid, paths }]) => ({ name, nsid, paths })).sort((a, b) => a.nsid - b.nsid)
}

/** Ends every controller of a subsystem. */
export async function disconnect(nqn: string): Promise<void> {
  await nvme('disconnect', `--nqn=${nqn}`)
}
