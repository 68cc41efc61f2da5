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

/** Lines of the kernel's log that tell of a fault of the kernel: each should be looked into. */
export function kernelFaults(log: string): string[] {
  return log.split(/\r?\n/).filter((line) => faults.some((fault) => fault.test(line)))
}

/** Whether a task hangs for so long that it is not worth waiting: the kernel has told of it for the second time. */
export function hangs(log: string): boolean {
  const times = [...log.matchAll(/INFO: task .* blocked for more than (\d+) seconds/g)].map(([, seconds]) =>
    Number(seconds),
  )
  return times.some((seconds) => seconds > 90)
}
