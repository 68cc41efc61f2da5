import type { NbdKernel } from './nbd-kernel.ts'
import type { NodeChange } from './netlink.ts'
import type { NodeLinks } from './node-links.ts'

/** What became of a connection that the kernel was offered: refused where it sees none dead, gone where the node is not connected. */
export type Offer = 'taken' | 'refused' | 'gone'

/** Offers the kernel a new connection in place of a dead one of a node. */
export async function offerLink(
  kernel: NbdKernel,
  links: NodeLinks,
  index: number,
  backend: string,
  change: NodeChange = {},
): Promise<Offer> {
  const { link, socket } = links.add()
  try {
    if (!(await kernel.reconfigure(index, backend, { ...change, socket }))) {
      link.destroy()
      return 'gone'
    }
  } catch (error) {
    link.destroy()
    throw error
  } finally {
    kernel.closeFd(socket)
  }
  // The kernel says nothing where it has no use for a socket, but the last copy of its end is closed then. That
  // is seen when sockets are polled next, and told a little later.
  for (let turns = 0; turns < 4 && !link.closed; turns++) await new Promise((resolve) => setImmediate(resolve))
  if (link.closed) return 'refused'
  links.confirm(link)
  return 'taken'
}
