/** Options of a multipath device. Times are milliseconds. */
export interface MultipathOptions {
  /** How long an I/O may wait for a usable path, and a write for its fence, before it ends with EIO. @defaultValue 30000 */
  noPathTimeout?: number
  /** How long an I/O may be in flight before its path counts as failed; 0 means for ever. @defaultValue 30000 */
  ioTimeout?: number
  /** How long one try to connect may take. @defaultValue 10000 */
  connectTimeout?: number
  /** First wait between tries to connect; doubles, with jitter, up to `reconnectDelayMax`. @defaultValue 100 */
  reconnectDelay?: number
  /** Longest wait between tries to connect. @defaultValue 10000 */
  reconnectDelayMax?: number
  /** Weight by path id, above 0, for policies that use it. @defaultValue 1 each */
  weights?: Readonly<Record<string, number>>
}
