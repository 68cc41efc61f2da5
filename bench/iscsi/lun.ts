import { createServer } from 'node:net'

/** A logical unit to measure against. */
export interface Lun {
  /** What it is, for people. */
  readonly name: string
  /** `host:port` */
  readonly portal: string
  /** iSCSI name. */
  readonly target: string
  readonly lun: string
  /** Bytes. */
  readonly blockSize: number
  /** Process id of the target. */
  readonly pid: number
  stop(): Promise<void>
}

/** Its address as libiscsi and qemu take it. */
export function urlOf({ portal, target, lun }: Lun): string {
  return `iscsi://${portal}/${target}/${lun}`
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}
