/**
 * Undoes a content coding (RFC 9110 section 8.4.1; zstd: RFC 8878) while a body is read, and not faster: a
 * bomb goes off only as far as its reader wants.
 */
import { pipeline, Readable, type Transform } from "node:stream"
import * as Zlib from "node:zlib"

/** The codings that are undone, as `Accept-Encoding` names them. */
export const acceptedCodings = "gzip, deflate, br, zstd"

/** Told of every piece that leaves a decoder. */
export type DecoderMeter = (bytes: number) => void

/**
 * The bytes of a body with its content coding undone, one piece for each that is asked for.
 *
 * Several codings, or one that is not known, are left alone: the reader sees `Content-Encoding` too, and
 * refuses them. Whoever ends the iteration destroys `body`.
 */
export async function* decoded(
  body: Readable,
  contentEncoding: string,
  meter?: DecoderMeter,
): AsyncGenerator<Uint8Array, void, undefined> {
  const coding = contentEncoding.trim().toLowerCase()
  if (coding === "deflate") yield* through(...(await inflation(body)), meter)
  else yield* through(body, decoderFor(coding), meter)
}

/** `bytesWritten` counts what it has made use of. */
type Decoder = Transform & { readonly bytesWritten: number }

async function* through(
  body: Readable,
  decoder: Decoder | undefined,
  meter?: DecoderMeter,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (decoder === undefined) return yield* body
  if (meter !== undefined) count(decoder, meter)
  // What goes wrong shows at the decoder, which is destroyed with it.
  pipeline(body, decoder, () => {})
  let came = 0
  body.on("data", (piece: Uint8Array) => void (came += piece.length))
  yield* decoder
  // All but gzip's leave what follows the end of the coding alone, without a word.
  if (!(decoder instanceof Zlib.Gunzip) && came > decoder.bytesWritten) throw trailingBytes()
}

/** With the code that gzip has for it. */
const trailingBytes = (): Error =>
  Object.assign(new Error("the body goes on behind the end of its coding"), { code: "Z_DATA_ERROR" })

/** What leaves the decoder, and not merely what is taken from it. */
const count = (decoder: Transform, meter: DecoderMeter): void => {
  const push = decoder.push.bind(decoder)
  decoder.push = (piece: unknown, encoding) => {
    if (piece instanceof Uint8Array) meter(piece.length)
    return push(piece, encoding)
  }
}

const chunkSize = 16 * 1_024

/** RFC 9659: the window that decoders on the web have to have, so that no frame can claim more memory. */
const zstdParams = { [Zlib.constants.ZSTD_d_windowLogMax]: 23 }

const decoderFor = (coding: string): Decoder | undefined => {
  switch (coding) {
    case "gzip":
    case "x-gzip":
      return Zlib.createGunzip({ chunkSize })
    case "br":
      return Zlib.createBrotliDecompress({ chunkSize })
    case "zstd":
      return Zlib.createZstdDecompress({ chunkSize, params: zstdParams })
    default:
      return undefined
  }
}

/** RFC 9110 section 8.4.1.2: "deflate" is the zlib format, whose first byte names method 8; some servers send it raw. */
const inflation = async (body: Readable): Promise<[Readable, Decoder]> => {
  const pieces: AsyncIterator<Uint8Array> = body[Symbol.asyncIterator]()
  const first = await pieces.next()
  const isZlib = first.done !== true && ((first.value[0] ?? 0) & 0x0f) === 8
  return [
    Readable.from(resumed(first, pieces)),
    isZlib ? Zlib.createInflate({ chunkSize }) : Zlib.createInflateRaw({ chunkSize }),
  ]
}

/** An iteration whose first result was taken already. */
async function* resumed<A>(first: IteratorResult<A>, rest: AsyncIterator<A>): AsyncGenerator<A, void, undefined> {
  try {
    for (let next = first; next.done !== true; next = await rest.next()) yield next.value
  } finally {
    await rest.return?.()
  }
}
