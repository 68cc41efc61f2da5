import type { DiscoveryNote } from '@blockbraid/core'
import { messageOf, systemHost } from '@blockbraid/core'
import { hiderOf } from '../config/secrets.ts'
import { formatVolumes, groupByVolume } from '../format/volumes.ts'
import { loadModule } from '../plugins/modules.ts'
import { loadTarget } from '../plugins/plugins.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print, UsageError } from '../terminal/terminal.ts'

/** Target plugin by scheme of an address. */
const schemes: Readonly<Record<string, string>> = { memory: 'memory', iscsi: 'iscsi', 'nvme-tcp': 'nvmeof' }

type Options = Readonly<Record<string, unknown>>

/** `blockbraid discover URL...`: volumes at addresses, without an agent. */
export async function discover(
  terminal: Terminal,
  options: { json?: boolean },
  texts: readonly string[],
): Promise<void> {
  const urls = texts.map(parseAddress)
  const found = await Promise.allSettled(urls.map((url) => discoverAt(url, terminal)))
  const fulfilled = found.filter((one) => one.status === 'fulfilled').map((one) => one.value)
  const { refused, ...volumes } = groupByVolume(fulfilled)
  if (volumes.volumes.length > 0 || found.every((one) => one.status === 'fulfilled'))
    print(terminal, options.json, volumes, (value) => formatVolumes(value, terminal.columns))
  for (const line of refused) terminal.err(`blockbraid: ${line}`)
  const failed = found.flatMap((one, index) => {
    const url = withoutSecret(urls[index]!)
    if (one.status === 'rejected') return [`${url}: ${messageOf(one.reason)}`]
    const { paths, notes } = one.value
    // Nothing of what was asked for is there, and here is why.
    const isWhy = ({ missing }: DiscoveryNote): boolean => missing && paths.length === 0
    for (const note of notes) if (!isWhy(note)) terminal.err(`blockbraid: ${lineOf(note)}`)
    const why = notes.filter(isWhy).map(lineOf)
    return why.length === 0 ? [] : [`${url}: ${why.join('; ')}`]
  })
  if (failed.length > 0) throw new Error(failed.join('; '))
}

function parseAddress(text: string): URL {
  const known = Object.keys(schemes)
    .map((scheme) => `${scheme}:`)
    .join(', ')
  if (!URL.canParse(text)) throw new UsageError(`"${hide(text)}" is not an address: it must begin with ${known}`)
  const url = new URL(text)
  if (!Object.hasOwn(schemes, url.protocol.slice(0, -1)))
    throw new UsageError(`${withoutSecret(url)}: unknown scheme: it must be one of ${known}`)
  return url
}

async function discoverAt(url: URL, { folder, interrupted }: Terminal) {
  const use = schemes[url.protocol.slice(0, -1)]!
  const module = await loadModule('target', { use, options: {} }, folder)
  const fromUrl = module['fromUrl']
  if (typeof fromUrl !== 'function') throw new Error(`target ${use} takes no addresses: it exports no fromUrl`)
  const options = (url.host === '' && (await advertisedTo(module, interrupted))) || (fromUrl(url) as Options)
  const target = await loadTarget({ use, options }, folder, systemHost)
  const { hide: withoutSecrets } = hiderOf(options)
  const notes: DiscoveryNote[] = []
  const note = (one: DiscoveryNote): void => void notes.push({ ...one, text: withoutSecrets(one.text) })
  try {
    const paths = await target.discover({ signal: interrupted, note })
    return { target: target.name, paths: paths.filter(({ unseen }) => unseen !== true), notes }
  } catch (error) {
    throw new Error(withoutSecrets(messageOf(error)))
  } finally {
    await target.close({ signal: interrupted })
  }
}

/** Options for what a target finds by itself where no host is named; undefined: it finds nothing by itself. */
async function advertisedTo(
  module: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<Options | undefined> {
  const { advertised } = module
  if (typeof advertised !== 'function') return undefined
  const found = (await advertised({ signal })) as readonly { readonly portals: readonly string[] }[]
  // The addresses of one may lead to different links: each is tried.
  const portals = found.flatMap((one) => one.portals)
  if (portals.length === 0) throw new Error('no discovery controller is advertised by multicast DNS; name a host')
  return { portals }
}

function lineOf({ place, text }: DiscoveryNote): string {
  return `${place}: ${text}`
}

function withoutSecret(url: URL): string {
  return hide(url.href)
}

/** An address without what stands before its last @: `user%secret@host`, `user:secret@host`. */
function hide(text: string): string {
  return text.replace(/^([a-z-]*:)?(\/\/)?.*@/is, '$1$2')
}
