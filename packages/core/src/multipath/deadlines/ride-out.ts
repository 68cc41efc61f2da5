/** Times of a {@link MultipathOptions.rideOut | profile}, milliseconds; they stand in for options that are left out. */
export interface RideOutProfile {
  /** See {@link MultipathOptions.noPathTimeout}. */
  readonly noPathTimeout: number
  /** See {@link MultipathOptions.ioTimeout}. */
  readonly ioTimeout: number
  /** See {@link MultipathOptions.flushTimeout}. */
  readonly flushTimeout: number
  /** See {@link MultipathOptions.trimTimeout}. */
  readonly trimTimeout: number
  /** See {@link MultipathOptions.zeroTimeout}. */
  readonly zeroTimeout: number
  /** See {@link MultipathOptions.connectTimeout}. */
  readonly connectTimeout: number
  /** See {@link MultipathOptions.reconnectDelay}. */
  readonly reconnectDelay: number
  /** See {@link MultipathOptions.reconnectDelayMax}. */
  readonly reconnectDelayMax: number
  /** See {@link MultipathOptions.transitionTimeout}. */
  readonly transitionTimeout: number
  /** See {@link MultipathOptions.keepAlive}. */
  readonly keepAlive: number
  /** See {@link MultipathOptions.keepAliveTimeout}. */
  readonly keepAliveTimeout: number
}

/** Name of a profile. */
export type RideOut = 'fast' | 'array-reboot'

/**
 * What `rideOut` stands for. `fast`: where another path is usable no read waits longer than 3 s, nor a write whose path is
 * fenced at once. `array-reboot`: I/O outlives an array that is away for ten minutes, and goes on within seconds of its
 * return.
 */
export const rideOutProfiles: Readonly<Record<RideOut, RideOutProfile>> = {
  fast: {
    noPathTimeout: 10_000,
    ioTimeout: 2000,
    flushTimeout: 8000,
    trimTimeout: 8000,
    zeroTimeout: 8000,
    connectTimeout: 2000,
    reconnectDelay: 100,
    reconnectDelayMax: 1000,
    transitionTimeout: 5000,
    keepAlive: 1000,
    keepAliveTimeout: 1500,
  },
  'array-reboot': {
    noPathTimeout: 900_000,
    ioTimeout: 30_000,
    flushTimeout: 120_000,
    trimTimeout: 120_000,
    zeroTimeout: 120_000,
    connectTimeout: 5000,
    reconnectDelay: 100,
    reconnectDelayMax: 2000,
    transitionTimeout: 120_000,
    keepAlive: 5000,
    keepAliveTimeout: 5000,
  },
}
