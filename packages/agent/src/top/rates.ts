import type { Listing, PathListing } from '../snapshot/listing.ts'

/** What a pair, or one of its paths, does at present. */
export interface Load {
  /** I/Os a second. */
  readonly iops: number
  /** Bytes a second. */
  readonly rate: number
  /** Microseconds; of a pair by the I/Os of its paths. */
  readonly latency: number
  readonly inflight: number
  /** I/Os that ended with an error, ever. */
  readonly errors: number
}

/** Loads of pairs by name and of their paths by `name id`, from two listings that were taken `seconds` apart. */
export function loadsBetween(before: Listing, after: Listing, seconds: number): ReadonlyMap<string, Load> {
  const known = new Map<string, PathListing>()
  for (const pair of before.pairs) for (const path of pair.paths) known.set(loadKey(pair.name, path.id), path)
  const loads = new Map<string, Load>()
  for (const { name, paths } of after.pairs) {
    const each = paths.map((path) => {
      const load = loadOf(known.get(loadKey(name, path.id)), path, seconds)
      loads.set(loadKey(name, path.id), load)
      return load
    })
    loads.set(name, sum(each))
  }
  return loads
}

/** Key of a path in {@link loadsBetween}. */
export function loadKey(pair: string, path: string): string {
  return `${pair} ${path}`
}

function loadOf(before: PathListing | undefined, path: PathListing, seconds: number): Load {
  const { ios, bytes, latencyUs: latency, inflight, errors } = path
  const per = (amount: number): number => (before === undefined || seconds <= 0 ? 0 : Math.max(0, amount) / seconds)
  return {
    iops: per(ios - (before?.ios ?? 0)),
    rate: per(bytes - (before?.bytes ?? 0)),
    latency,
    inflight,
    errors,
  }
}

function sum(all: readonly Load[]): Load {
  const of = (field: keyof Load): number => all.reduce((total, load) => total + load[field], 0)
  const iops = of('iops')
  const used = all.filter(({ latency }) => latency > 0)
  const latency =
    iops > 0
      ? all.reduce((total, load) => total + load.latency * load.iops, 0) / iops
      : used.reduce((total, load) => total + load.latency, 0) / Math.max(1, used.length)
  return { iops, rate: of('rate'), latency, inflight: of('inflight'), errors: of('errors') }
}
