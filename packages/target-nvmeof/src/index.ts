/**
 * An NVMe/TCP initiator in user space.
 * @packageDocumentation
 */
export type { Portal } from './place/portal.ts'
