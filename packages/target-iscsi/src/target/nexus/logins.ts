import type { Clock, SignalOptions } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { Network } from '@blockbraid/wire'
import type { ChapAlgorithm, ChapOptions } from '../../login/chap.ts'
import type { LoginOptions } from '../../login/login.ts'
import { openSession } from '../../session/open.ts'
import type { Session } from '../../session/session.ts'
import type { Resolved } from '../options/options.ts'
import type { NexusPlace } from '../place/fence-token.ts'

/** Where to log in; without a name a discovery session. */
export type LoginPlace = Omit<NexusPlace, 'targetName'> & { readonly targetName: string | undefined }

/** What logins need of the host. */
export interface LoginHost {
  readonly clock: Clock
  readonly network: Network
  readonly randomBytes: (count: number) => Buffer
}

/** Where CHAP had nothing better than MD5; without a name, in discovery. */
export interface WeakPlace {
  readonly targetName: string | undefined
  readonly portal: string
}

const NO_DIGEST = ['None'] as const

/** Logs in as the options say, and remembers which algorithm of CHAP was taken where. */
export class Logins {
  readonly #host: LoginHost
  readonly #options: Resolved
  readonly #mayMoveTo: (host: string) => boolean
  /** Algorithms of CHAP that were taken, by target and portal. */
  readonly #offers = new Map<string, readonly ChapAlgorithm[]>()
  readonly #weak = new Map<string, WeakPlace>()

  /** `mayMoveTo`: whether a portal may send logins to that host. */
  constructor(host: LoginHost, options: Resolved, mayMoveTo: (host: string) => boolean) {
    this.#host = host
    this.#options = options
    this.#mayMoveTo = mayMoveTo
  }

  /** A session with a target. */
  open(place: NexusPlace, options: SignalOptions): Promise<Session> {
    return this.#open(place, this.#options.chap, options)
  }

  /** A discovery session. */
  async openDiscovery(place: Omit<LoginPlace, 'targetName'>, options: SignalOptions): Promise<Session> {
    const { chap, discoveryChap } = this.#options
    const unnamed = { ...place, targetName: undefined }
    try {
      return await this.#open(unnamed, discoveryChap, options)
    } catch (error) {
      const isDenied = BlockError.is(error) && error.code === 'DENIED'
      if (!isDenied || chap === undefined || chap.fault !== undefined || discoveryChap !== chap) throw error
      // Not used, whatever it tells: the options ask for CHAP here, too.
      const session = await this.#open(unnamed, undefined, options).catch(() => undefined)
      if (session === undefined) throw error
      void session.logout()
      const cure =
        'the target takes no CHAP for discovery: set discoveryChap to false (?discoveryChap=none in an address)'
      throw new BlockError('DENIED', `${error.message}; ${cure}`, { cause: error.cause })
    }
  }

  /** Places where CHAP had nothing better than MD5. */
  weak(): readonly WeakPlace[] {
    return [...this.#weak.values()]
  }

  async #open(
    { initiator, isid, targetName, portal }: LoginPlace,
    chap: ChapOptions | undefined,
    { signal }: SignalOptions,
  ): Promise<Session> {
    const o = this.#options
    const { clock, network, randomBytes } = this.#host
    if (chap?.fault !== undefined) throw new BlockError('DENIED', chap.fault)
    const place = { targetName, portal: portal.address }
    const at = JSON.stringify(place)
    const login: LoginOptions = {
      initiatorName: initiator,
      targetName,
      isid,
      chap,
      // Discovery carries no data of volumes, and tgt knows no digests there.
      headerDigest: targetName === undefined ? NO_DIGEST : o.headerDigest,
      dataDigest: targetName === undefined ? NO_DIGEST : o.dataDigest,
      immediateData: o.immediateData,
      initialR2T: o.initialR2T,
      firstBurstLength: o.firstBurstLength,
      maxBurstLength: o.maxBurstLength,
      maxRecvDataSegmentLength: o.maxRecvDataSegmentLength,
      maxOutstandingR2T: o.maxOutstandingR2T,
      random: randomBytes,
    }
    const opened = openSession(
      {
        clock,
        network,
        keepAlive: { interval: o.keepAliveInterval, timeout: o.keepAliveTimeout },
        taskTimeout: o.taskTimeout,
        maxRecvDataSegmentLength: o.maxRecvDataSegmentLength,
        endpoint: { host: portal.host, port: portal.port, localAddress: o.localAddress },
        login,
        loginTimeout: o.loginTimeout,
        firstOffer: this.#offers.get(at),
        usedChap: (algorithm, offered) => {
          this.#offers.set(at, offered)
          if (chap?.reserve?.includes(algorithm)) this.#weak.set(at, place)
          else this.#weak.delete(at)
        },
        mayMoveTo: this.#mayMoveTo,
      },
      { signal },
    )
    // Another one may be taken next time.
    opened.catch((error: unknown) => {
      if (BlockError.is(error) && error.code === 'DENIED') this.#offers.delete(at)
    })
    return opened
  }
}
