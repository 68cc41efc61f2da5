// First lines of what the kernel says when something is wrong with it.
const faults = [
  /\bWARNING: (CPU|possible|suspicious|\S+:\d+)/,
  /\bBUG: /,
  /\bBUG\b.* at /,
  /\bOops\b/,
  /\bKernel panic\b/,
  /\bgeneral protection fault\b/,
  /\binvalid opcode\b/,
  /\brefcount_t: /,
  /\blist_(add|del) corruption\b/,
  /\bUBSAN: /,
  /\bINFO: task .* blocked for more than\b/,
  /\bINFO: rcu_\S+ .*(stall|self-detected)/,
  /\bsoft lockup\b/,
  /\bObjects remaining in\b/,
]

// What stands in the line before a warning that is a known fault of Linux itself, whatever it is served.
const known = [
  // Its iSCSI initiator removes a disk whose power management has work under way, from a queue that must not wait for that.
  /workqueue: WQ_MEM_RECLAIM iscsi_\S+:__iscsi_unbind_session \S+ is flushing !WQ_MEM_RECLAIM pm:pm_runtime_work/,
]

/** Lines of the kernel's log that tell of a fault of the kernel, but for known ones: each should be looked into. */
export function kernelFaults(log: string): string[] {
  const lines = log.split(/\r?\n/)
  const isKnown = (at: number): boolean => known.some((fault) => fault.test(lines[at - 1] ?? ''))
  return lines.filter((line, at) => faults.some((fault) => fault.test(line)) && !isKnown(at))
}

/** Whether a task hangs for so long that it is not worth waiting: the kernel has told of it for the second time. */
export function hangs(log: string): boolean {
  const times = [...log.matchAll(/INFO: task .* blocked for more than (\d+) seconds/g)].map(([, seconds]) =>
    Number(seconds),
  )
  return times.some((seconds) => seconds > 90)
}
