import type { PathInfo } from '../target.ts'

/** Whether two paths to one volume must tell the same product and serial number: by one protocol, or by one that is not told. */
export function tellAlike({ protocol: one }: PathInfo, { protocol: other }: PathInfo): boolean {
  return one === undefined || other === undefined || one === other
}
