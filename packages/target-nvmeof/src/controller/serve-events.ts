import { messageOf } from '@blockbraid/core'
import { getLog, LogPage } from '../nvme/admin.ts'
import { decodeAnaLog } from '../nvme/ana.ts'
import { demand } from '../nvme/ask.ts'
import type { Controller } from '../nvme/controller-data.ts'
import { DISCOVERY_HEAD } from '../nvme/discovery-log.ts'
import { ERROR_ENTRY } from '../nvme/error-log.ts'
import type { Procedure } from '../nvme/procedure.ts'
import { RESET_HEAD } from '../nvme/reset-log.ts'
import { decodeSmartLog, SMART_LENGTH } from '../nvme/smart-log.ts'
import { StatusError } from '../nvme/status-error.ts'
import { readAnaLog } from './ana-log.ts'
import type { Events, News } from './events.ts'
import { changedNamespaces } from './namespaces.ts'

/** Hears what events are about, when it was read. */
export interface NewsListener {
  /** The ANA log was read. */
  ana(log: Uint8Array): void
  /** These namespaces changed; undefined: any may have. */
  namespaces(ids: readonly number[] | undefined): void
  /** A cross-controller reset that this controller was asked for has ended. */
  crossReset(): void
  /** The discovery log changed. */
  discovery(): void
  /** Something that people should hear of. */
  notice(text: string): void
}

/**
 * Reads and tells what {@link Events} has, until there is nothing that is due. An error status of a log is told and over
 * with: what it would have said is looked for again and again. `now` gives the time, µs.
 */
export function* serveEvents(
  events: Events,
  controller: Pick<Controller, 'logOffsets' | 'ana'>,
  listener: NewsListener,
  now: () => number,
): Procedure<void> {
  for (let news = events.take(now()); news !== undefined; news = events.take(now())) {
    try {
      const ana = yield* serve(news, controller, listener)
      events.served(news.kind, now(), ana === undefined ? undefined : decodeAnaLog(ana))
    } catch (error) {
      events.served(news.kind, now())
      if (!(error instanceof StatusError)) throw error
      listener.notice(messageOf(error))
    }
  }
}

/** Reads what one is about; returns the ANA log where it is that. */
function* serve(
  { kind, event }: News,
  controller: Pick<Controller, 'logOffsets' | 'ana'>,
  listener: NewsListener,
): Procedure<Uint8Array | undefined> {
  switch (kind) {
    case 'ana': {
      if (!controller.ana) return undefined
      const log = yield* readAnaLog(controller)
      listener.ana(log)
      return log
    }
    case 'namespaces':
      listener.namespaces(event === undefined ? undefined : yield* changedNamespaces())
      return undefined
    case 'discovery':
      // Who reads the log keeps its event: what ends it is this.
      yield* demand('Get Log Page of the discovery log', getLog(LogPage.Discovery, DISCOVERY_HEAD))
      listener.discovery()
      return undefined
    case 'reset':
      yield* demand('Get Log Page of cross-controller resets', getLog(LogPage.CrossControllerReset, RESET_HEAD))
      listener.crossReset()
      return undefined
    case 'smart': {
      const { data } = yield* demand('Get Log Page of health', getLog(LogPage.Smart, SMART_LENGTH))
      const { warnings } = decodeSmartLog(data)
      listener.notice([event?.text, ...warnings].filter((text) => text !== undefined).join(': '))
      return undefined
    }
    case 'error':
      yield* demand('Get Log Page of errors', getLog(LogPage.Error, ERROR_ENTRY))
      listener.notice(event?.text ?? 'an error')
      return undefined
    case 'other':
      if (event !== undefined) listener.notice(event.text)
      return undefined
  }
}
