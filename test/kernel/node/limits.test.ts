import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until, within } from '../guest/wait.ts'
import type { Bed } from './bed.ts'
import { KIB, MIB, openBed, sysfs } from './bed.ts'
import { refused, tool } from './tools.ts'

const SIZE = 16 * MIB
const REFUSED = /not permitted|Read-only/

const write = ({ node }: Bed, block: number): string[] => [
  'if=/dev/zero',
  `of=${node}`,
  'bs=4k',
  'count=1',
  `seek=${block}`,
  'conv=notrunc,fsync',
  'oflag=direct',
]

const becomes = (bed: Bed, ro: '0' | '1'): Promise<void> =>
  until(`the node says ro ${ro}`, () => sysfs(bed.name, 'ro') === ro)

test('pain: a volume becomes read-only and is writable again: so is the node, in use all the while', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: SIZE }] } })
  await tool('dd', ...write(bed, 0))
  const told = new Promise((resolve) => bed.pair.events.on('limits', resolve))
  bed.array.change(0, { readOnly: true })
  await within('the pair says so', told)
  await becomes(bed, '1')
  assert.match(await refused('dd', ...write(bed, 1)), REFUSED)
  await tool('dd', `if=${bed.node}`, 'of=/dev/null', 'bs=64k', 'count=4', 'iflag=direct')
  bed.array.change(0, { readOnly: false })
  await becomes(bed, '0')
  await tool('dd', ...write(bed, 2))
  assert.equal(bed.pair.behind, '')
})

test('a volume that is read-only when its node is made can be written once it is not', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: SIZE, readOnly: true }] } })
  assert.equal(sysfs(bed.name, 'ro'), '1')
  assert.match(await refused('dd', ...write(bed, 0)), REFUSED)
  bed.array.change(0, { readOnly: false })
  await becomes(bed, '0')
  await tool('dd', ...write(bed, 0))
  await tool('blkdiscard', '-o', '0', '-l', String(64 * KIB), bed.node)
  // It ends read-only: whoever gets the node next must not find it so.
  bed.array.change(0, { readOnly: true })
  await becomes(bed, '1')
})

test('the next node of that number is writable', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: SIZE }] } })
  assert.equal(sysfs(bed.name, 'ro'), '0')
  await tool('dd', ...write(bed, 0))
})

test('write protection of one path of many leaves the node writable', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: SIZE }], ports: 2 } })
  bed.array.protect(0, 0, true)
  for (let block = 0; block < 4; block++) await tool('dd', ...write(bed, block))
  assert.equal(sysfs(bed.name, 'ro'), '0')
  assert.match(bed.pair.paths.map(({ reason }) => reason).join(), /write protected/)
  bed.array.protect(0, 1, true)
  await becomes(bed, '1')
  bed.array.protect(0, 0, false)
  await becomes(bed, '0')
  await tool('dd', ...write(bed, 5))
})

test('a node that was made without discard says that it keeps that', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: SIZE, trim: false }] } })
  const failed = new Promise<Error>((resolve) => void bed.pair.events.on('limitsFailed', resolve))
  bed.array.change(0, { trim: true })
  const { message } = await within('the pair says that the node cannot follow', failed)
  assert.equal(message, `${bed.node} offers no discard until it is detached and attached again`)
  assert.equal(bed.pair.behind, message)
  bed.array.change(0, { trim: false })
  await until('it follows', () => bed.pair.behind === '')
})
