import { get16, get32, put16, put32, put64 } from '@blockbraid/wire'
import type { Export } from '../export.ts'
import { HandshakeFlag, Info, MAX_STRING, Magic, OptionReply } from '../protocol.ts'

/** What the server says first. */
export function greeting(): Buffer {
  const bytes = Buffer.alloc(18)
  put32(bytes, 0, Magic.InitHigh)
  put32(bytes, 4, Magic.InitLow)
  put32(bytes, 8, Magic.OptionHigh)
  put32(bytes, 12, Magic.OptionLow)
  put16(bytes, 16, HandshakeFlag.FixedNewstyle | HandshakeFlag.NoZeroes)
  return bytes
}

/** One reply to an option. */
export function optionReply(option: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(20)
  put32(head, 0, Magic.OptionReplyHigh)
  put32(head, 4, Magic.OptionReplyLow)
  put32(head, 8, option)
  put32(head, 12, type)
  put32(head, 16, data.length)
  return Buffer.concat([head, data])
}

/** The reply to EXPORT_NAME, which has no header. */
export function exportNameReply(target: Export, flags: number, noZeroes: boolean): Buffer {
  const bytes = Buffer.alloc(noZeroes ? 10 : 134)
  put64(bytes, 0, target.size)
  put16(bytes, 8, flags)
  return bytes
}

/** REP_SERVER: name and description of an export. */
export function serverReply(option: number, target: Export): Buffer {
  const name = Buffer.from(target.name)
  const head = Buffer.alloc(4)
  put32(head, 0, name.length)
  return optionReply(option, OptionReply.Server, Buffer.concat([head, name, Buffer.from(target.description)]))
}

/** REP_META_CONTEXT: id and name of a metadata context. */
export function contextReply(option: number, id: number, name: string): Buffer {
  const head = Buffer.alloc(4)
  put32(head, 0, id)
  return optionReply(option, OptionReply.MetaContext, Buffer.concat([head, Buffer.from(name)]))
}

function textInfo(option: number, type: number, text: string): Buffer {
  const head = Buffer.alloc(2)
  put16(head, 0, type)
  return optionReply(option, OptionReply.Info, Buffer.concat([head, Buffer.from(text)]))
}

/** The REP_INFO messages for INFO and GO. */
export function infoReplies(option: number, target: Export, flags: number, wanted: readonly number[]): Buffer[] {
  const about = Buffer.alloc(12)
  put16(about, 0, Info.Export)
  put64(about, 2, target.size)
  put16(about, 10, flags)
  const sizes = Buffer.alloc(14)
  put16(sizes, 0, Info.BlockSize)
  target.blockSizes.forEach((size, i) => {
    put32(sizes, 2 + 4 * i, size)
  })
  // Sizes are sent unasked too: ours are never the default ones (minimum 1). A client that does not look
  // at them is still welcome, as the protocol advises, and gets EINVAL for what is not aligned.
  const replies = [optionReply(option, OptionReply.Info, about), optionReply(option, OptionReply.Info, sizes)]
  if (wanted.includes(Info.Name)) replies.push(textInfo(option, Info.Name, target.name))
  if (wanted.includes(Info.Description) && target.description !== '') {
    replies.push(textInfo(option, Info.Description, target.description))
  }
  return replies
}

/** Walks over the data of an option; `fits` turns false at the first field that lies outside. */
class OptionReader {
  fits = true
  #at = 0
  readonly #data: Buffer

  constructor(data: Buffer) {
    this.#data = data
  }

  get atEnd(): boolean {
    return this.fits && this.#at === this.#data.length
  }

  u16(): number {
    return this.#take(2) ? get16(this.#data, this.#at - 2) : 0
  }

  u32(): number {
    return this.#take(4) ? get32(this.#data, this.#at - 4) : 0
  }

  text(length: number): string {
    if (length > MAX_STRING) this.fits = false
    return this.#take(length) ? this.#data.toString('utf8', this.#at - length, this.#at) : ''
  }

  #take(size: number): boolean {
    if (!this.fits || size > this.#data.length - this.#at) {
      this.fits = false
      return false
    }
    this.#at += size
    return true
  }
}

/** Data of INFO and GO. */
export interface InfoRequest {
  readonly name: string
  readonly wanted: readonly number[]
}

/** Decodes the data of INFO and GO; undefined where it is malformed. */
export function readInfoRequest(data: Buffer): InfoRequest | undefined {
  const reader = new OptionReader(data)
  const name = reader.text(reader.u32())
  const count = reader.u16()
  const wanted: number[] = []
  for (let i = 0; i < count && reader.fits; i++) wanted.push(reader.u16())
  return reader.atEnd ? { name, wanted } : undefined
}

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export interface ContextRequest {
  readonly name: string
  readonly queries: readonly string[]
}

/** Decodes the data of LIST_META_CONTEXT and SET_META_CONTEXT; undefined where it is malformed. */
export function readContextRequest(data: Buffer): ContextRequest | undefined {
  const reader = new OptionReader(data)
  const name = reader.text(reader.u32())
  const count = reader.u32()
  const queries: string[] = []
  for (let i = 0; i < count && reader.fits; i++) queries.push(reader.text(reader.u32()))
  return reader.atEnd ? { name, queries } : undefined
}
