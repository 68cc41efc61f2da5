/** PDUs of NVMe/TCP by name (TCP transport 1.1 §3.6): their types. */
export const PduType = {
  icReq: 0x00,
  icResp: 0x01,
  h2cTerm: 0x02,
  c2hTerm: 0x03,
  command: 0x04,
  response: 0x05,
  h2cData: 0x06,
  c2hData: 0x07,
  r2t: 0x09,
} as const
/** Name of a PDU: `icReq`, `h2cTerm`, `command` and `h2cData` come from hosts, the others from the array. */
export type PduName = keyof typeof PduType
