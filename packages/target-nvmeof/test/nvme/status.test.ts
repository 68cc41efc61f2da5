import { describeStatus as describeIo, isPathError, NOT_EXECUTED } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { StatusRow } from '../../src/nvme/status.ts'
import { Action, DNR, describeStatus, judge, News, retryDelay, statusTable } from '../../src/nvme/status.ts'
import { StatusError } from '../../src/nvme/status-error.ts'

/** A row by its codes: type and code; `*` fits all. */
function nameOf({ type, code }: StatusRow): string {
  return `${type ?? '*'}/${code?.toString(16).padStart(2, '0') ?? '*'}`
}

const AWAY = 'EAGAIN (path error, not executed)'
const UNSURE = 'EIO (path error)'
const GONE = 'ENODEV (path error)'

/**
 * What each row must give: status, action, news, the status where DNR is set; and codes that must find it. Written apart
 * from the table on purpose.
 */
const expected: Record<
  string,
  [status: string, action: keyof typeof Action, news: string, final: string, also?: string[]]
> = {
  '0/00': ['OK', 'None', '', 'OK'],
  '0/01': ['EOPNOTSUPP', 'None', '', 'EOPNOTSUPP'],
  '0/02': ['EINVAL', 'None', '', 'EINVAL'],
  '0/03': [UNSURE, 'None', '', 'EIO'],
  '0/04': [UNSURE, 'Retry', '', 'EIO'],
  '0/05': [UNSURE, 'None', '', 'EIO'],
  '0/06': ['EIO', 'Retry', '', 'EIO'],
  '0/07': [UNSURE, 'Retry', '', 'EIO'],
  '0/08': [UNSURE, 'None', '', 'EIO'],
  '0/09': ['EIO', 'None', '', 'EIO'],
  '0/0a': ['EIO', 'None', '', 'EIO'],
  '0/0b': [GONE, 'None', 'Namespaces', GONE],
  '0/0c': [UNSURE, 'None', '', UNSURE],
  '0/0d': ['EINVAL', 'None', '', 'EINVAL'],
  '0/0e': ['EINVAL', 'None', '', 'EINVAL'],
  '0/0f': ['EINVAL', 'None', '', 'EINVAL'],
  '0/10': ['EINVAL', 'None', '', 'EINVAL'],
  '0/11': ['EINVAL', 'None', '', 'EINVAL'],
  '0/12': ['EINVAL', 'None', '', 'EINVAL'],
  '0/13': ['EINVAL', 'None', '', 'EINVAL'],
  '0/14': ['EINVAL', 'None', 'Namespace', 'EINVAL'],
  '0/15': ['EACCES', 'None', '', 'EACCES'],
  '0/16': ['EINVAL', 'None', '', 'EINVAL'],
  '0/18': ['EINVAL', 'None', '', 'EINVAL'],
  '0/19': [UNSURE, 'None', '', UNSURE],
  '0/1a': ['EINVAL', 'None', '', 'EINVAL'],
  '0/1b': ['EBADE', 'Retry', '', 'EBADE'],
  '0/1c': ['EIO', 'None', '', 'EIO'],
  '0/1d': ['EBUSY', 'RetryLater', '', 'EBUSY'],
  '0/1e': ['EINVAL', 'None', '', 'EINVAL'],
  '0/1f': ['EOPNOTSUPP', 'None', '', 'EOPNOTSUPP'],
  '0/20': ['EROFS', 'None', 'Namespace', 'EROFS'],
  '0/21': [UNSURE, 'Retry', '', 'EIO'],
  '0/22': [UNSURE, 'Retry', '', 'EIO'],
  '0/23': ['EACCES', 'None', '', 'EACCES'],
  '0/24': [AWAY, 'RetryLater', '', 'EIO'],
  '0/80': ['EINVAL', 'None', 'Namespace', 'EINVAL'],
  '0/81': ['ENOSPC', 'None', '', 'ENOSPC'],
  '0/82': [AWAY, 'RetryLater', '', 'EIO'],
  '0/83': ['EBADE', 'None', '', 'EBADE'],
  '0/84': ['EBUSY', 'RetryLater', '', 'EBUSY'],
  '0/*': ['EIO', 'None', '', 'EIO', ['0/17', '0/2a', '0/85', '0/c0', '0/ff']],
  '1/03': ['EBUSY', 'None', '', 'EBUSY'],
  '1/05': ['EBUSY', 'None', '', 'EBUSY'],
  '1/09': ['EOPNOTSUPP', 'None', '', 'EOPNOTSUPP'],
  '1/0a': ['EINVAL', 'None', '', 'EINVAL'],
  '1/0d': ['EINVAL', 'None', '', 'EINVAL'],
  '1/0e': ['EINVAL', 'None', '', 'EINVAL'],
  '1/0f': ['EINVAL', 'None', '', 'EINVAL'],
  '1/1d': ['EBUSY', 'None', '', 'EBUSY'],
  '1/1f': ['EINVAL', 'None', '', 'EINVAL'],
  '1/24': ['EINVAL', 'None', '', 'EINVAL'],
  '1/29': ['EOPNOTSUPP', 'None', '', 'EOPNOTSUPP'],
  '1/2a': ['EOPNOTSUPP', 'None', '', 'EOPNOTSUPP'],
  '1/3f': ['EBUSY', 'None', '', 'EBUSY'],
  '1/40': ['EBUSY', 'None', '', 'EBUSY'],
  '1/41': ['EBUSY', 'None', '', 'EBUSY'],
  '1/80': ['EINVAL', 'None', '', 'EINVAL'],
  '1/81': ['EINVAL', 'None', '', 'EINVAL'],
  '1/82': ['EROFS', 'None', 'Namespace', 'EROFS'],
  '1/83': ['EINVAL', 'None', 'Namespace', 'EINVAL'],
  '1/91': ['EACCES (path error, not executed)', 'None', '', 'EACCES (path error, not executed)'],
  '1/*': ['EIO', 'None', '', 'EIO', ['1/00', '1/85', '1/b8', '1/ff']],
  '2/80': ['ENODATA', 'None', '', 'ENODATA'],
  '2/81': ['ENODATA', 'None', '', 'ENODATA'],
  '2/82': ['EIO', 'None', '', 'EIO'],
  '2/83': ['EIO', 'None', '', 'EIO'],
  '2/84': ['EIO', 'None', '', 'EIO'],
  '2/85': ['EIO', 'None', '', 'EIO'],
  '2/86': ['EACCES', 'None', '', 'EACCES'],
  '2/87': ['ENODATA', 'None', '', 'ENODATA'],
  '2/88': ['EIO', 'None', '', 'EIO'],
  '2/*': ['EIO', 'None', '', 'EIO', ['2/00', '2/89', '2/ff']],
  '3/00': [UNSURE, 'Retry', '', 'EIO'],
  '3/01': ['ENODEV (path error, not executed)', 'None', 'Access', 'ENODEV (path error, not executed)'],
  '3/02': [AWAY, 'None', 'Access', AWAY],
  '3/03': [AWAY, 'None', 'Access', AWAY],
  '3/60': [UNSURE, 'None', '', 'EIO'],
  '3/70': [UNSURE, 'None', '', 'EIO'],
  '3/71': [UNSURE, 'None', '', 'EIO'],
  '3/*': [UNSURE, 'None', '', 'EIO', ['3/04', '3/61', '3/ff']],
  '*/*': [UNSURE, 'None', '', 'EIO', ['4/00', '5/82', '6/01', '7/ff']],
}

function statusOf(codes: string): number {
  const [type, code] = codes.split('/') as [string, string]
  return (Number(type) << 8) | Number.parseInt(code, 16)
}

function newsOf(bits: number): string {
  const names = Object.entries(News).filter(([, bit]) => (bits & bit) !== 0)
  return names.map(([name]) => name).join(' ')
}

describe('the status table', () => {
  it('has an expectation for every row, and no row twice', () => {
    expect(statusTable.map(nameOf).sort()).toEqual(Object.keys(expected).sort())
  })

  it.each(statusTable.map((row) => [nameOf(row), row] as const))('row %s', (name, row) => {
    const [status, action, news, final, also = [name]] = expected[name]!
    expect(describeIo(row.verdict.status)).toBe(status)
    expect(row.verdict.action).toBe(Action[action])
    expect(newsOf(row.verdict.news)).toBe(news)
    expect(row.verdict.text).not.toBe('')
    expect(describeIo(row.final.status)).toBe(final)
    expect(row.final).toMatchObject({ action: Action.None, news: row.verdict.news, text: row.verdict.text })
    for (const codes of also) {
      expect(judge(statusOf(codes)), codes).toBe(row.verdict)
      // Neither the delay nor the bit that says that the error log has more makes another of it.
      if (codes !== '0/00') expect(judge(statusOf(codes) | 0x3800), codes).toBe(row.verdict)
      expect(judge(statusOf(codes) | DNR), codes).toBe(row.final)
    }
  })

  it('gives a verdict for every status', () => {
    const verdicts = new Set(statusTable.flatMap((row) => [row.verdict, row.final]))
    for (let status = 0; status < 2 ** 15; status++) {
      if (!verdicts.has(judge(status))) throw new Error(`no verdict for ${status}`)
    }
  })

  it('says OK only for success', () => {
    const good = statusTable.filter((row) => row.verdict.status === 0 || row.final.status === 0)
    expect(good.map(nameOf)).toEqual(['0/00'])
  })

  it('says not executed only together with path error, and only where the command was not performed', () => {
    const without = statusTable.filter((row) => (row.verdict.status & NOT_EXECUTED) !== 0)
    expect(without.every((row) => isPathError(row.verdict.status))).toBe(true)
    expect(without.map(nameOf)).toEqual(['0/24', '0/82', '1/91', '3/01', '3/02', '3/03'])
  })
})

describe('a status in words', () => {
  it('has its codes, and whether it is final', () => {
    expect(describeStatus(0)).toBe('success')
    expect(describeStatus(0x82)).toBe('namespace not ready (status 0/82h)')
    expect(describeStatus(0x302 | DNR)).toBe('asymmetric access inaccessible (status 3/02h, do not retry)')
    expect(describeStatus(0x7ff)).toBe('unknown status (status 7/ffh)')
  })

  it('is an error that names the command, with a code to compare', () => {
    const error = new StatusError('Identify of namespace 3', 0x0b | DNR)
    expect(error).toMatchObject({ code: 'NOT_FOUND', errno: 19, nvme: 0x400b, final: true })
    expect(error.message).toBe(
      'Identify of namespace 3 failed: invalid namespace or format (status 0/0bh, do not retry)',
    )
    expect(new StatusError('x', 0x191)).toMatchObject({ code: 'DENIED', final: false })
    expect(new StatusError('x', 0x01)).toMatchObject({ code: 'NOT_SUPPORTED' })
    expect(new StatusError('x', 0x281)).toMatchObject({ code: 'IO_FAILED', errno: 61 })
  })
})

describe('the delay that a status asks for', () => {
  const delays = [100, 2000, 6_553_500]

  it('is counted from 1', () => {
    expect(retryDelay(0x21, delays)).toBeUndefined()
    expect(retryDelay(0x0821, delays)).toBe(100)
    expect(retryDelay(0x1021, delays)).toBe(2000)
  })

  it('is at most 10 seconds', () => {
    expect(retryDelay(0x1821, delays)).toBe(10_000)
    expect(retryDelay(0x1821, [])).toBe(0)
  })
})
