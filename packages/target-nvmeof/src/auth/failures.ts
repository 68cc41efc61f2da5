/** Explanations in AUTH_Failure1 and AUTH_Failure2 (NVMe Base 2.1 §8.3.5.4.2). */
export const AuthFailure = {
  Failed: 1,
  ProtocolUnusable: 2,
  ConcatMismatch: 3,
  HashUnusable: 4,
  GroupUnusable: 5,
  IncorrectPayload: 6,
  IncorrectMessage: 7,
} as const
/** One of the values of {@link AuthFailure}. */
export type AuthFailure = (typeof AuthFailure)[keyof typeof AuthFailure]

const words: Readonly<Record<AuthFailure, string>> = {
  [AuthFailure.Failed]: 'the proof is wrong: the secret of this host at the target is another, or it has none',
  [AuthFailure.ProtocolUnusable]: 'it does not take DH-HMAC-CHAP',
  [AuthFailure.ConcatMismatch]: 'it wants a secure channel made of the authentication, which blockbraid does not do',
  [AuthFailure.HashUnusable]: 'it takes none of the hashes that were offered (dhchap.hashes)',
  [AuthFailure.GroupUnusable]: 'it takes none of the Diffie-Hellman groups that were offered (dhchap.groups)',
  [AuthFailure.IncorrectPayload]: 'it found a field of a message wrong',
  [AuthFailure.IncorrectMessage]: 'it expected another message',
}

/** What a controller means by an explanation. */
export function failureWords(explanation: number): string {
  return words[explanation as AuthFailure] ?? `it gives explanation ${explanation}, which the standard does not have`
}
