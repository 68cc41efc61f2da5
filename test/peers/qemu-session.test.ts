import { expect, it } from 'vitest'
import { openBed } from './support/bed.ts'
import { mixedFile } from './support/data.ts'
import { seeded } from './support/seed.ts'
import { run } from './support/tools.ts'

const MiB = 2 ** 20

it.each([
  ['blocks of 512 bytes', 512, 'cluster_size=64k'],
  ['blocks of 4096 bytes, small clusters', 4096, 'cluster_size=4k,lazy_refcounts=on'],
] as const)('an ordinary session of qemu-img: every step succeeds, %s', async (_name, blockSize, options) => {
  const { seed, random } = seeded()
  await using bed = await openBed({
    array: {
      volumes: [
        { size: '64MiB', blockSize },
        { size: '64MiB', blockSize },
      ],
    },
  })
  const [base, other] = bed.pairs.map(({ kernel }) => kernel.node) as [string, string]
  const [source, copy] = [bed.folder.at('source'), bed.folder.at('copy')]
  await mixedFile(source, 16 * MiB, seed, random)
  const failed: string[] = []
  let steps = 0
  const step = async (program: string, ...args: string[]): Promise<string> => {
    steps++
    const { code, stdout, stderr } = await run(program, args)
    if (code !== 0) failed.push(`${program} ${args.join(' ')}: ${code} ${stdout.slice(0, 300)} ${stderr}`)
    return stdout
  }
  const img = (...args: string[]): Promise<string> => step('qemu-img', ...args)
  const io = (format: string, uri: string, ...commands: string[]): Promise<string> =>
    step('qemu-io', '-f', format, ...commands.flatMap((command) => ['-c', command]), uri)

  await img('create', '-f', 'qcow2', '-o', options, base, '32M')
  await img('info', '-f', 'qcow2', base)
  await io('qcow2', base, 'write -P 0x11 0 1M', 'write -P 0x22 8M 3M', 'write -z 9M 64k', 'discard 10M 64k', 'flush')
  await img('check', '-f', 'qcow2', base)
  await img('map', '-f', 'qcow2', '--output=json', base)
  await img('snapshot', '-c', 'before', base)
  await io('qcow2', base, 'write -P 0x33 0 2M', 'writev -P 0x44 3M 64k 64k', 'read -P 0x33 0 2M')
  await img('snapshot', '-l', base)
  await img('snapshot', '-a', 'before', base)
  await io('qcow2', base, 'read -P 0x11 0 1M', 'read -P 0 1M 1M', 'read -P 0x22 8M 1M')
  await img('snapshot', '-d', 'before', base)
  await img('bitmap', '--add', '-f', 'qcow2', base, 'since')
  await img('bitmap', '--remove', '-f', 'qcow2', base, 'since')
  await img('resize', '-f', 'qcow2', base, '+8M')
  await img('check', '-f', 'qcow2', base)

  await img('create', '-f', 'qcow2', '-F', 'qcow2', '-b', base, other)
  await io('qcow2', other, 'write -P 0x55 4M 1M', 'read -P 0x11 0 1M')
  await img('info', '--backing-chain', other)
  await img('commit', '-f', 'qcow2', '-d', other)
  await io('qcow2', base, 'read -P 0x55 4M 1M')
  await img('compare', '-f', 'qcow2', '-F', 'qcow2', base, other)
  await io('qcow2', other, 'write -P 0x66 12M 64k')
  await img('rebase', '-f', 'qcow2', '-b', '', other)
  await io('qcow2', other, 'read -P 0x55 4M 1M', 'read -P 0x66 12M 64k')
  await img('check', '-f', 'qcow2', other)
  await img('amend', '-f', 'qcow2', '-o', 'lazy_refcounts=off', other)

  await img('convert', '-f', 'qcow2', '-O', 'raw', other, copy)
  await img('compare', '-f', 'qcow2', '-F', 'raw', other, copy)
  await img('measure', '-f', 'raw', '-O', 'qcow2', copy)
  await img('convert', '-n', '-f', 'raw', '-O', 'qcow2', source, base)
  await img('convert', '-n', '-f', 'qcow2', '-O', 'qcow2', base, other)
  await img('compare', '-f', 'qcow2', '-F', 'qcow2', base, other)

  await img('convert', '-n', '-W', '-m', '8', '-f', 'raw', '-O', 'raw', source, other)
  await img('dd', '-f', 'raw', '-O', 'raw', 'bs=64k', 'count=256', `if=${other}`, `of=${copy}`)
  await step('cmp', '-n', String(16 * MiB), source, copy)
  await img('map', '-f', 'raw', other)
  await img('bench', '-f', 'raw', '-c', '500', '-d', '16', other)
  await img('bench', '-f', 'raw', '-w', '-c', '500', '-d', '16', '--flush-interval=50', '--pattern=119', other)
  await io('raw', other, 'aio_write -P 1 0 1M', 'aio_write -P 2 32M 16M', 'aio_flush', 'read -P 2 32M 16M')
  await img('info', '-f', 'raw', other)
  expect(failed).toEqual([])
  expect(steps).toBeGreaterThanOrEqual(40)
})
