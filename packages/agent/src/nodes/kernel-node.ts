/** How long I/O on a node waits for an agent where the transport's `takeOverTimeout` is left out, milliseconds. */
const TAKE_OVER_TIMEOUT = 60_000

/** Whether an attachment is a kernel block device, not an export. */
export function isKernelNode(node: string): boolean {
  return node.startsWith('/dev/')
}

/** How long I/O on a node waits for an agent, for people: `60 s`. */
export function takeOverTime(options: Readonly<Record<string, unknown>>): string {
  const { takeOverTimeout } = options
  return `${(typeof takeOverTimeout === 'number' ? takeOverTimeout : TAKE_OVER_TIMEOUT) / 1000} s`
}
