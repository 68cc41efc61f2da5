/** Commands to an array that runs, for the help. Their words are the same whatever the protocol of a port is. */
export const forms: readonly (readonly [words: string, what: string])[] = [
  ['ls', 'ports, hosts and volumes, as they are now'],
  ['port N down|up', 'ends connections, takes none; listens again'],
  ['port N cut|reset', 'ends connections, by FIN or by RST'],
  ['port N blackhole on|off', 'what would come or go waits until off'],
  ['port N hold|release', 'keeps changes back; executes what is not fenced'],
  ['port N hang', 'executes and answers nothing, until release'],
  ['port N slow MICROSECONDS', 'extra latency, until it is 0 again'],
  ['port N fail RATE ERRNO', 'a share of the commands fails, until heal'],
  ['volume V access port N STATE', 'ALUA or ANA state there'],
  ['volume V grow|size SIZE', 'it is larger, or of that size'],
  ['volume V read-only on|off', 'it refuses changes, or no longer'],
  ['volume V unmap|map N', 'it leaves a port, or comes'],
  ['volume V remove', 'it leaves every port'],
  ['volume add SIZE [BLOCK] [ID]', 'another volume at every port'],
  ['port N lun L reuse V', 'another volume under the same number'],
  ['heal', 'all but sizes, volumes and access is well again'],
]
