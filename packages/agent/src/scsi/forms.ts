/** Forms of a request, for the help. */
export const forms: readonly (readonly [words: string, what: string])[] = [
  ['inquiry', 'vendor, product, what it supports'],
  ['vpd [PAGE]', 'a page of product data; none: their list'],
  ['luns', 'LUNs that the target shows on the path'],
  ['rtpg', 'target port groups, their access (ALUA)'],
  ['capacity', 'blocks and their size'],
  ['pr keys|reservation|status', 'keys; who holds the reservation; both'],
  ['pr capabilities', 'what the target can do with reservations'],
  ['pr register --key KEY', 'registers a key over every path that is up'],
  ['pr unregister', 'takes that back, over every path that is up'],
  ['pr reserve --key KEY', 'reserves the volume; --type'],
  ['pr release --key KEY', 'gives the reservation up; --type'],
  ['pr preempt --key KEY --victim KEY', 'takes over from another host; --type'],
  ['pr clear --key KEY', 'removes the reservation and every key'],
  ['raw CDB', 'any command, in hex digits; --in or --out'],
]

/** Types of persistent reservations (SPC-5), by the names that `--type` takes. */
export const reservationTypes: Readonly<Record<string, number>> = {
  'write-exclusive': 1,
  'exclusive-access': 3,
  'write-exclusive-registrants': 5,
  'exclusive-access-registrants': 6,
  'write-exclusive-all': 7,
  'exclusive-access-all': 8,
}
