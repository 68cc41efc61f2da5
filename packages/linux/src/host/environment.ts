const KEPT = ['LD_LIBRARY_PATH', 'BLOCKBRAID_RUN']
/** Where modprobe and udevadm are, which services and users are often not told. */
const PLACES = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']

/**
 * Environment for programs that this process starts: where programs and records are, and nothing else of its own.
 * Secrets are in the rest, and a guard outlives this process.
 */
export function helperEnvironment(): Record<string, string> {
  const path = process.env['PATH']?.split(':') ?? []
  const environment = { PATH: [...path, ...PLACES.filter((place) => !path.includes(place))].join(':') }
  const kept = KEPT.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return { ...environment, ...Object.fromEntries(kept) }
}
