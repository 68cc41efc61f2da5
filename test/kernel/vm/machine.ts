import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { makeInitramfs } from './initramfs.ts'
import { hangs, kernelFaults } from './kernel-log.ts'
import type { Kernel } from './kernels.ts'

/** A command to run in a virtual machine. */
export interface VmOptions {
  readonly kernel: Kernel
  readonly command: readonly string[]
  /** Folder it runs in, of the host's files. */
  readonly cwd: string
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>
  /** Modules loaded before it, in order. */
  readonly modules: readonly string[]
  /** Seconds for everything; then the machine is ended. */
  readonly limit: number
  /** Called with what the command prints, as it comes. */
  readonly onOutput: (stream: 'stdout' | 'stderr', chunk: Buffer) => void
  /** Called with what the kernel says, as it comes. */
  readonly onConsole?: (chunk: Buffer) => void
  /** Ends the machine. */
  readonly signal?: AbortSignal
}

/** How a run ended. */
export interface VmEnd {
  /** Exit code of the command; undefined where it was not reached or did not end. */
  readonly code: number | undefined
  /** What the command wrote to its file descriptor 3. */
  readonly report: string
  /** What the kernel complained of: warnings, oopses, hung tasks. */
  readonly faults: readonly string[]
  /** Everything the kernel said from level 4 (warning) on. */
  readonly console: string
  /** Why there is no exit code. */
  readonly reason: string
  /** Seconds until the command was started. */
  readonly bootTime: number
}

const CPUS = 2
const MEMORY = 2048

/**
 * Runs a command in a Linux of its own, under QEMU in software emulation: it sees this machine's files, and what it
 * writes is gone afterwards. No network but its own loopback.
 */
export async function runInVm(options: VmOptions): Promise<VmEnd> {
  const folder = await mkdtemp(join(tmpdir(), 'blockbraid-vm-'))
  try {
    const initramfs = join(folder, 'initramfs')
    await writeFile(
      initramfs,
      await makeInitramfs(options.kernel, { settings: settings(options), command: script(options) }),
    )
    return await boot(options, initramfs)
  } finally {
    await rm(folder, { recursive: true })
  }
}

function settings({ kernel, modules }: VmOptions): string {
  return `KERNEL=${quoted(kernel.folder)}\nMODULES=${quoted(modules.join(' '))}\n`
}

function script({ command, cwd, env }: VmOptions): string {
  const variables = Object.entries(env).map(([name, value]) => quoted(`${name}=${value}`))
  return `cd ${quoted(cwd)} && exec env -i ${variables.join(' ')} ${command.map(quoted).join(' ')}\n`
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

async function boot(options: VmOptions, initramfs: string): Promise<VmEnd> {
  const start = performance.now()
  // QEMU ends with this process, however that ends.
  const args = ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...machine(options.kernel, initramfs)]
  const child = spawn('setpriv', args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'] })
  let reason = ''
  const end = (why: string): void => {
    reason ||= why
    child.kill('SIGKILL')
  }
  const timer = setTimeout(() => end(`it took longer than ${options.limit} s`), options.limit * 1000)
  const aborted = (): void => end('it was called off')
  options.signal?.addEventListener('abort', aborted)
  const gather = (at: number, seen?: (chunk: Buffer) => void): { text: string } => {
    const gathered = { text: '' }
    ;(child.stdio[at] as Readable).on('data', (chunk: Buffer) => {
      gathered.text += chunk.toString('latin1')
      seen?.(chunk)
    })
    return gathered
  }
  ;(child.stdio[ports.out] as Readable).on('data', (chunk: Buffer) => options.onOutput('stdout', chunk))
  ;(child.stdio[ports.err] as Readable).on('data', (chunk: Buffer) => options.onOutput('stderr', chunk))
  const complaints = gather(2)
  const report = gather(ports.report)
  const console = gather(ports.console, (chunk) => {
    options.onConsole?.(chunk)
    if (hangs(console.text)) end('a task of the kernel hangs')
  })
  let bootTime = Number.NaN
  const status = gather(ports.status, () => {
    if (Number.isNaN(bootTime)) bootTime = (performance.now() - start) / 1000
  })
  try {
    await new Promise<void>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', () => resolve())
    })
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', aborted)
  }
  const code = /^exit (\d+)$/m.exec(status.text)?.[1]
  return {
    code: code === undefined ? undefined : Number(code),
    report: Buffer.from(report.text, 'latin1').toString(),
    faults: kernelFaults(console.text),
    console: console.text,
    reason: reason || complaints.text.trim() || 'the machine ended before the command did',
    bootTime,
  }
}

// File descriptors of QEMU, each a socket to here.
const ports = { console: 3, out: 4, err: 5, report: 6, status: 7 }

function machine(kernel: Kernel, initramfs: string): string[] {
  const channel = (name: keyof typeof ports): string[] => ['-chardev', `socket,id=${name},fd=${ports[name]}`]
  const port = (name: keyof typeof ports): string[] => [
    ...channel(name),
    '-device',
    `virtserialport,chardev=${name},name=${name}`,
  ]
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-nic', 'none', '-M', 'q35', '-cpu', 'max'],
    // With a thread per CPU, QEMU 7.2 breaks the kernel's patching of its own code now and then.
    ...['-accel', 'tcg,thread=single', '-smp', String(CPUS), '-m', String(MEMORY)],
    ...['-kernel', join(kernel.folder, kernel.vmlinux), '-initrd', initramfs, '-append', commandLine],
    ...[...channel('console'), '-serial', 'chardev:console', '-device', 'virtio-serial-pci'],
    ...[...port('out'), ...port('err'), ...port('report'), ...port('status')],
    ...['-fsdev', 'local,id=host,path=/,security_model=none,readonly=on,multidevs=remap'],
    ...['-device', 'virtio-9p-pci,fsdev=host,mount_tag=host'],
  ]
}

// The kernel's warnings, and what is worse, reach the console.
const commandLine = [
  ...['console=ttyS0', 'loglevel=5', 'panic=-1', 'oops=panic', 'net.ifnames=0'],
  ...['no_timer_check', 'mitigations=off'],
].join(' ')
