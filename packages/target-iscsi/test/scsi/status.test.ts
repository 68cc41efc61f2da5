import { describeStatus, isPathError, NOT_EXECUTED } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { Sense } from '../../src/scsi/sense.ts'
import { decodeSense } from '../../src/scsi/sense.ts'
import type { StatusRow } from '../../src/scsi/status.ts'
import { Action, judge, News, statusTable } from '../../src/scsi/status.ts'

/** A row by its codes: status, key, asc, ascq; `*` fits all, `!` is deferred. */
function nameOf({ status, key, deferred, asc, ascq }: StatusRow): string {
  const part = (code: number | string | undefined): string =>
    typeof code === 'number' ? code.toString(16).padStart(2, '0') : (code ?? '*')
  const mark = deferred ? '!' : ''
  return `${part(status)} ${part(key)}/${part(asc)}/${part(ascq)}${mark}`
}

const AWAY = 'EAGAIN (path error, not executed)'
const UNSURE = 'EIO (path error)'

/**
 * What each row must give: status, action, news; and codes that must find it, as fixed and as descriptor sense
 * data. Written apart from the table on purpose.
 */
const expected: Record<string, [status: string, action: keyof typeof Action, news: string, found: string[]]> = {
  '00 */*/*': ['OK', 'None', '', ['00']],
  '04 */*/*': ['OK', 'None', '', ['04']],
  '08 */*/*': [AWAY, 'RetryLater', '', ['08']],
  '18 */*/*': ['EBADE', 'None', '', ['18']],
  '28 */*/*': [AWAY, 'RetryLater', '', ['28']],
  '30 */*/*': [AWAY, 'RetryLater', '', ['30']],
  '40 */*/*': [UNSURE, 'Retry', '', ['40']],
  '* */*/*': [UNSURE, 'None', '', ['10', '14', '22', 'ff', '01']],
  '02 none/*/*': [UNSURE, 'Retry', '', ['02']],
  '02 01/*/*!': [AWAY, 'Retry', '', ['02 01/17/01!']],
  '02 */*/*!': [AWAY, 'Retry', 'WriteLost', ['02 03/0c/00!', '02 04/44/00!', '02 0b/00/00!']],
  '02 00/*/*': [UNSURE, 'Retry', '', ['02 00/00/00']],
  '02 01/*/*': ['OK', 'None', '', ['02 01/17/01', '02 01/5d/00']],
  '02 02/04/01': [AWAY, 'RetryLater', '', ['02 02/04/01']],
  '02 02/04/07': [AWAY, 'RetryLater', '', ['02 02/04/07']],
  '02 02/04/09': [AWAY, 'RetryLater', '', ['02 02/04/09']],
  '02 02/04/0a': [AWAY, 'None', 'Access', ['02 02/04/0a']],
  '02 02/04/0b': [AWAY, 'None', 'Access', ['02 02/04/0b']],
  '02 02/04/0c': [AWAY, 'None', 'Access', ['02 02/04/0c']],
  '02 02/04/14': [AWAY, 'RetryLater', '', ['02 02/04/14']],
  '02 02/*/*': ['EIO (path error, not executed)', 'None', '', ['02 02/04/00', '02 02/04/03', '02 02/3a/00']],
  '02 03/*/*': ['ENODATA', 'None', '', ['02 03/11/00', '02 03/0c/02']],
  '02 04/*/*': ['EIO', 'None', '', ['02 04/44/00', '02 04/08/00']],
  '02 05/20/*': ['EOPNOTSUPP', 'None', '', ['02 05/20/00']],
  '02 05/21/*': ['EINVAL', 'None', 'Capacity', ['02 05/21/00']],
  '02 05/24/*': ['EINVAL', 'None', '', ['02 05/24/00']],
  '02 05/25/*': ['ENODEV (path error, not executed)', 'None', 'Luns', ['02 05/25/00']],
  '02 05/26/*': ['EINVAL', 'None', '', ['02 05/26/00', '02 05/26/04']],
  '02 05/*/*': ['EINVAL', 'None', '', ['02 05/1a/00', '02 05/2c/00', '02 05/00/00']],
  '02 06/28/*': [AWAY, 'Retry', 'Access Capacity Identity', ['02 06/28/00']],
  '02 06/29/07': [AWAY, 'Retry', 'Access Capacity Identity', ['02 06/29/07']],
  '02 06/29/*': [AWAY, 'Retry', 'Access Capacity Identity Reset', ['02 06/29/00', '02 06/29/02']],
  '02 06/2a/00': [AWAY, 'Retry', 'Capacity', ['02 06/2a/00']],
  '02 06/2a/01': [AWAY, 'Retry', 'Capacity', ['02 06/2a/01']],
  '02 06/2a/06': [AWAY, 'Retry', 'Access', ['02 06/2a/06']],
  '02 06/2a/07': [AWAY, 'Retry', 'Access', ['02 06/2a/07']],
  '02 06/2a/09': [AWAY, 'Retry', 'Capacity', ['02 06/2a/09']],
  '02 06/38/07': [AWAY, 'Retry', '', ['02 06/38/07']],
  '02 06/3f/0e': [AWAY, 'Retry', 'Luns Identity', ['02 06/3f/0e']],
  '02 06/3f/*': [AWAY, 'Retry', 'Capacity Identity', ['02 06/3f/03', '02 06/3f/05', '02 06/3f/01']],
  '02 06/*/*': [AWAY, 'Retry', '', ['02 06/2a/03', '02 06/2a/05', '02 06/2f/00', '02 06/38/00']],
  '02 07/27/07': ['ENOSPC', 'None', '', ['02 07/27/07']],
  '02 07/*/*': ['EROFS', 'None', 'Capacity', ['02 07/27/00', '02 07/20/02']],
  '02 08/*/*': ['EIO', 'None', '', ['02 08/00/00']],
  '02 0b/*/*': [UNSURE, 'Retry', '', ['02 0b/00/00', '02 0b/08/00', '02 0b/47/01', '02 0b/4b/00']],
  '02 0d/*/*': ['ENOSPC', 'None', '', ['02 0d/00/00']],
  '02 0e/*/*': ['EIO', 'None', '', ['02 0e/1d/00']],
  '02 */*/*': ['EIO', 'None', '', ['02 09/80/01', '02 0a/0d/00', '02 0c/00/00', '02 0f/00/00']],
}

/** Sense data of the codes, as an array would send it. */
function senseOf(codes: string, descriptors: boolean): Sense | undefined {
  const match = /^(..)\/(..)\/(..)(!?)$/.exec(codes)!
  const [key, asc, ascq] = match.slice(1, 4).map((code) => Number.parseInt(code, 16)) as [number, number, number]
  const late = match[4] === '!' ? 1 : 0
  return decodeSense(
    descriptors
      ? Uint8Array.of(0x72 + late, key, asc, ascq, 0, 0, 0, 0)
      : Uint8Array.of(0x70 + late, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0),
  )
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
    const [status, action, news, found] = expected[name]!
    expect(describeStatus(row.verdict.status)).toBe(status)
    expect(row.verdict.action).toBe(Action[action])
    expect(newsOf(row.verdict.news)).toBe(news)
    expect(row.verdict.text).not.toBe('')
    for (const codes of found) {
      const [code, sense] = codes.split(' ') as [string, string | undefined]
      for (const descriptors of [false, true]) {
        const decoded = sense === undefined ? undefined : senseOf(sense, descriptors)
        expect(judge(Number.parseInt(code, 16), decoded), codes).toBe(row.verdict)
      }
    }
  })

  it('knows every status with every code, and gives a verdict of its own', () => {
    const verdicts = new Set(statusTable.map((row) => row.verdict))
    for (let codes = 0; codes < 16 * 256 * 32; codes++) {
      const sense = {
        deferred: false,
        key: codes >> 13,
        asc: (codes >> 5) & 255,
        ascq: codes & 31,
        information: undefined,
      }
      if (!verdicts.has(judge(2, sense))) throw new Error(`no verdict for ${JSON.stringify(sense)}`)
    }
    for (let status = 0; status < 256; status++) expect(verdicts.has(judge(status, undefined))).toBe(true)
  })

  it('says OK only for good, condition met and recovered errors', () => {
    const good = statusTable.filter((row) => row.verdict.status === 0)
    expect(good.map(nameOf)).toEqual(['00 */*/*', '04 */*/*', '02 01/*/*'])
  })

  it('says not executed only together with path error', () => {
    for (const { verdict } of statusTable) {
      if ((verdict.status & NOT_EXECUTED) !== 0) expect(isPathError(verdict.status)).toBe(true)
    }
  })

  it('does not look at the sense data of other statuses', () => {
    const sense = senseOf('03/11/00', false)
    expect(describeStatus(judge(0x18, sense).status)).toBe('EBADE')
    expect(describeStatus(judge(0x00, sense).status)).toBe('OK')
  })
})
