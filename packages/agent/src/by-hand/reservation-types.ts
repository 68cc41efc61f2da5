/** The type of a reservation where none is named: every registered host may write, nobody else. */
export const defaultType = 'write-exclusive-registrants'
