const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused: nothing listens there',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed while data was sent',
  ETIMEDOUT: 'the host does not answer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'no route to its network',
  EHOSTDOWN: 'the host is down',
  ENETDOWN: 'the network is down',
  EADDRNOTAVAIL: 'the local address is not one of this host',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name cannot be looked up now',
  EACCES: 'this host does not let the connection out',
  EPERM: 'this host does not let the connection out',
  EMFILE: 'this process has too many files open',
}

/** What went wrong with a socket, in words, with what the system calls it. */
export function errorWords(error: Error & { code?: string }): string {
  const words = error.code === undefined ? undefined : CAUSES[error.code]
  return words === undefined ? error.message : `${words} (${error.code})`
}
