/** The reason of a path that somebody has taken out. */
export const TAKEN_OUT = 'taken out by hand'
