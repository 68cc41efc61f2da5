import type { Lun } from '../../scsi/lun.ts'
import type { Sense } from '../../scsi/sense.ts'
import { decodeSense } from '../../scsi/sense.ts'
import { judge, losesCache, News, ScsiStatus } from '../../scsi/status.ts'

type Place = Pick<Lun, 'high' | 'low'>

/** More logical units than a target has; whoever tells of further ones is not believed. */
const MOST = 65_536

/**
 * News of lost data that no path was there to hear: a unit attention is told once, to whatever command comes first,
 * such as that of a discovery or of a fence. It is for the path that is opened next.
 */
export class MissedNews {
  readonly #news = new Map<string, number>()
  // Logical units that have said in this session what they had to say of the login.
  readonly #greeted = new Set<string>()

  /** A session has begun. */
  begin(): void {
    this.#greeted.clear()
  }

  /** Something was told of a logical unit. */
  hear(lun: Place, bytes: Uint8Array): void {
    const sense = decodeSense(bytes)
    let news = judge(ScsiStatus.CheckCondition, sense).news & (News.Reset | News.WriteLost)
    if (!losesCache(sense) || this.#isGreeting(lun, sense)) news &= ~News.Reset
    if (news === 0 || this.#news.size >= MOST) return
    this.#news.set(keyOf(lun), (this.#news.get(keyOf(lun)) ?? 0) | news)
  }

  /** What was missed: `News.Reset` where a cache may be lost, `News.WriteLost`; somebody has heard it now. */
  take(lun: Place): number {
    const news = this.#news.get(keyOf(lun)) ?? 0
    this.#news.delete(keyOf(lun))
    this.#greet(lun)
    return news
  }

  /** Whether it is what targets such as tgt say to every login, 29h/00h, whether anything was reset or not. */
  #isGreeting(lun: Place, sense: Sense | undefined): boolean {
    const first = !this.#greeted.has(keyOf(lun))
    if (sense?.asc === 0x29) this.#greet(lun)
    return first && sense?.ascq === 0
  }

  #greet(lun: Place): void {
    if (this.#greeted.size < MOST) this.#greeted.add(keyOf(lun))
  }
}

function keyOf({ high, low }: Place): string {
  return `${high} ${low}`
}
