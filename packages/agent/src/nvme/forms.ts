/** Forms of a request, for the help. */
export const forms: readonly (readonly [words: string, what: string])[] = [
  ['id-ctrl', 'the controller: who it is, what it can do'],
  ['fence', 'may writes move fast? KATO, CQT, resets'],
  ['id-ns', 'the namespace: size, blocks, protection'],
  ['ns-descs', 'what the namespace says that it is'],
  ['list-ns', 'active namespaces of the controller'],
  ['ana-log', 'ANA groups and their access'],
  ['smart-log', 'health'],
  ['error-log', 'errors that the controller has kept'],
  ['reset-log', 'cross-controller resets'],
  ['get-feature ID', 'a feature; --in: bytes of its data'],
  ['resv-report', 'who is registered, and who holds it'],
  ['resv-register --key KEY', 'registers a key of this host'],
  ['resv-unregister --key KEY', 'takes that back'],
  ['resv-acquire --key KEY', 'reserves the namespace; --type'],
  ['resv-release --key KEY', 'gives the reservation up; --type'],
  ['resv-preempt --key KEY --victim KEY', 'takes over from another host; --type'],
  ['resv-clear --key KEY', 'removes the reservation and every key'],
  ['raw admin|io OPCODE [cdw10=N...]', 'any command; nsid=N; --in or --out'],
]

/** Types of reservations (NVMe Base 2.1 §8.1.22), by the names that `--type` takes: those of `blockbraid scsi`. */
export const reservationTypes: Readonly<Record<string, number>> = {
  'write-exclusive': 1,
  'exclusive-access': 2,
  'write-exclusive-registrants': 3,
  'exclusive-access-registrants': 4,
  'write-exclusive-all': 5,
  'exclusive-access-all': 6,
}
