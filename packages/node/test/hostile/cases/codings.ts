/**
 * Bodies under content codings: unknown, stacked, broken, and small ones that would become large.
 */
import * as Zlib from "node:zlib"
import { type Answer, finish, goodBody, head, repeat, response, send } from "../Answer.ts"
import { about, type CaseOf, fails, oneAttempt, type HostileCase, holds } from "../HostileCase.ts"

const body = goodBody()

const coded = (coding: string, bytes: string | Uint8Array): Answer =>
  response({ headers: [`Content-Encoding: ${coding}`], body: bytes })

const encoders = {
  gzip: (text: string | Uint8Array) => Zlib.gzipSync(text),
  deflate: (text: string | Uint8Array) => Zlib.deflateSync(text),
  br: (text: string | Uint8Array) =>
    Zlib.brotliCompressSync(text, { params: { [Zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }),
  zstd: (text: string | Uint8Array) => Zlib.zstdCompressSync(text),
}

const codings = Object.entries(encoders)

/** 64 MiB of white space, as few bytes. */
const bomb = (encode: (bytes: Uint8Array) => Uint8Array): Uint8Array => encode(Buffer.alloc(64 * 1_048_576, " "))

const tooLarge = fails("BodyTooLarge", "more than 1048576 bytes")
const single = fails("BodyInvalid", "it has more than one content coding")

/** The head of a gzip member (RFC 1952 section 2.3) with these flags. */
const gzipHead = (flags = 0): Uint8Array => Uint8Array.of(0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3)

/** A zstd frame (RFC 8878 section 3.1.1) of one raw block, for which a decoder shall hold a window of 128 MiB. */
const zstdWithWindow = (): Uint8Array => {
  const block = Buffer.from(body)
  const header = (block.length << 3) | 1
  return Buffer.concat([
    Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, (27 - 10) << 3, header & 255, (header >> 8) & 255, header >> 16),
    block,
  ])
}

export const codingCases: ReadonlyArray<HostileCase> = [
  ...about(
    "coding_known",
    ...["compress", "exi", "aws-chunked", "pack200-gzip", "gzip;q=1", "\u00e4"].map((coding): CaseOf => ({
      title: `a good set under the content coding ${JSON.stringify(coding)}`,
      answer: coded(coding, body),
      expected: fails("BodyInvalid", "its content coding is not known"),
    })),
    {
      title: "a good set under the content coding identity",
      answer: coded("identity", body),
      expected: holds("static-2"),
    },
    { title: "a good set under an empty content coding", answer: coded("", body), expected: holds("static-2") },
    {
      title: "a good set under X-GZip",
      answer: () => coded("X-GZip", encoders.gzip(body)),
      expected: holds("static-2"),
    },
  ),
  ...about(
    "coding_single",
    {
      title: "gzip inside gzip",
      answer: () => coded("gzip, gzip", encoders.gzip(encoders.gzip(body))),
      expected: single,
    },
    {
      title: "brotli inside gzip",
      answer: () => coded("br, gzip", encoders.gzip(encoders.br(body))),
      expected: single,
    },
    {
      title: "a hundred codings",
      answer: coded(Array.from({ length: 100 }, () => "gzip").join(", "), body),
      expected: single,
    },
    {
      title: "two fields of one coding each",
      answer: () =>
        response({
          headers: ["Content-Encoding: gzip", "Content-Encoding: gzip"],
          body: encoders.gzip(encoders.gzip(body)),
        }),
      expected: single,
    },
  ),
  ...about(
    "bombs",
    ...codings.map(([coding, encode]): CaseOf => ({
      title: `64 MiB in a few bytes of ${coding}`,
      answer: () => coded(coding, bomb(encode)),
      expected: tooLarge,
    })),
    {
      title: "gzip members of 1 MiB each without end",
      retryPolicy: oneAttempt,
      answer: () => [send(head(200, ["Content-Encoding: gzip"])), repeat(encoders.gzip(Buffer.alloc(1_048_576, " ")))],
      expected: tooLarge,
    },
    {
      title: "a bomb of zstd frames without end",
      retryPolicy: oneAttempt,
      answer: () => [send(head(200, ["Content-Encoding: zstd"])), repeat(encoders.zstd(Buffer.alloc(1_048_576, " ")))],
      expected: tooLarge,
    },
    {
      title: "a good set that is one byte too long once it is decoded, under a length that is not",
      registration: { maxResponseBytes: body.length },
      answer: () => coded("gzip", encoders.gzip(` ${body}`)),
      expected: fails("BodyTooLarge"),
    },
    {
      title: "a good set of exactly the size that is allowed once it is decoded, under a length that is more",
      registration: { maxResponseBytes: body.length },
      answer: () => coded("gzip", Zlib.gzipSync(body, { level: 0 })),
      expected: holds("static-2"),
    },
  ),
  ...about(
    "coding_end",
    ...codings.map(([coding, encode]): CaseOf => ({
      title: `${coding} that something follows`,
      answer: () => coded(coding, Buffer.concat([encode(body), Buffer.from("more")])),
      expected: fails("TransportFailed", "(Z_DATA_ERROR)"),
    })),
    {
      title: "raw deflate that something follows",
      answer: () => coded("deflate", Buffer.concat([Zlib.deflateRawSync(body), Buffer.from("more")])),
      expected: fails("TransportFailed", "(Z_DATA_ERROR)"),
    },
    {
      title: "deflate that the same follows",
      answer: () => coded("deflate", Buffer.concat([encoders.deflate(body), encoders.deflate(body)])),
      expected: fails("TransportFailed", "(Z_DATA_ERROR)"),
    },
    {
      title: "brotli that something follows without end",
      retryPolicy: oneAttempt,
      answer: () => [send(head(200, ["Content-Encoding: br"])), send(encoders.br(body)), repeat("more".repeat(16_384))],
      expected: fails("TransportFailed", "(Z_DATA_ERROR)"),
    },
    {
      title: "gzip that zeros follow, as on a tape",
      answer: () => coded("gzip", Buffer.concat([encoders.gzip(body), Buffer.alloc(100)])),
      expected: holds("static-2"),
    },
    ...(["gzip", "zstd"] as const).map((coding): CaseOf => ({
      title: `a good set in two parts of ${coding}`,
      answer: () =>
        coded(coding, Buffer.concat([encoders[coding](body.slice(0, 50)), encoders[coding](body.slice(50))])),
      expected: holds("static-2"),
    })),
  ),
  ...about(
    "wire_limit",
    {
      title: "empty blocks of deflate without end",
      answer: () => [
        send(head(200, ["Content-Encoding: gzip"])),
        send(gzipHead()),
        repeat(Buffer.concat(Array.from({ length: 10_000 }, () => Uint8Array.of(0, 0, 0, 0xff, 0xff)))),
      ],
      retryPolicy: oneAttempt,
      expected: fails("TransportFailed", "(UND_ERR_RES_EXCEEDED_MAX_SIZE)"),
    },
    {
      title: "a gzip header with a file name without end",
      answer: [send(head(200, ["Content-Encoding: gzip"])), send(gzipHead(8)), repeat("a".repeat(65_536))],
      retryPolicy: oneAttempt,
      expected: fails("TransportFailed", "(UND_ERR_RES_EXCEEDED_MAX_SIZE)"),
    },
    {
      title: "empty gzip members without end",
      answer: () => [
        send(head(200, ["Content-Encoding: gzip"])),
        repeat(Buffer.concat(Array.from({ length: 2_000 }, () => encoders.gzip("")))),
      ],
      retryPolicy: oneAttempt,
      expected: fails("TransportFailed", "(UND_ERR_RES_EXCEEDED_MAX_SIZE)"),
    },
  ),
  ...about("zstd_window", {
    title: "a zstd frame that asks for a window of 128 MiB",
    answer: () => coded("zstd", zstdWithWindow()),
    expected: fails("TransportFailed", "(ZSTD_ERROR_"),
  }),
  ...about(
    "coding_undone_whole",
    ...codings.map(([coding, encode]): CaseOf => ({
      title: `${coding} that ends early`,
      answer: () => coded(coding, encode(body).subarray(0, -3)),
      expected: fails("TransportFailed", "(Z_BUF_ERROR)"),
    })),
    ...codings.map(([coding]): CaseOf => ({
      title: `${coding} of nothing`,
      answer: () => coded(coding, ""),
      expected: fails("TransportFailed", "(Z_BUF_ERROR)"),
    })),
    ...codings.map(([coding, encode]): CaseOf => ({
      title: `${coding} that a connection's end cuts off`,
      answer: () => [send(head(200, [`Content-Encoding: ${coding}`])), send(encode(body).subarray(0, -10)), finish],
      expected: fails("TransportFailed", "(Z_BUF_ERROR)"),
    })),
  ),
  ...about(
    "coding_errors",
    ...codings.map(([coding]): CaseOf => ({
      title: `a good set that only says it is ${coding}`,
      answer: coded(coding, body),
      expected: fails(
        "TransportFailed",
        coding === "zstd" ? "(ZSTD_ERROR_" : coding === "br" ? "(ERR_" : "(Z_DATA_ERROR)",
      ),
    })),
    {
      title: "gzip with a wrong checksum",
      answer: () => {
        const bytes = encoders.gzip(body)
        bytes.writeUInt32LE(0, bytes.length - 8)
        return coded("gzip", bytes)
      },
      expected: fails("TransportFailed", "(Z_DATA_ERROR)"),
    },
    {
      title: "gzip with a wrong length",
      answer: () => {
        const bytes = encoders.gzip(body)
        bytes.writeUInt32LE(1, bytes.length - 4)
        return coded("gzip", bytes)
      },
      expected: fails("TransportFailed", "(Z_DATA_ERROR)"),
    },
    {
      title: "deflate that asks for a dictionary",
      answer: () => coded("deflate", Zlib.deflateSync(body, { dictionary: Buffer.from("keys") })),
      expected: fails("TransportFailed", "(Z_NEED_DICT)"),
    },
    {
      title: "brotli with a window of a gigabyte",
      answer: () =>
        coded(
          "br",
          Zlib.brotliCompressSync(body, {
            params: { [Zlib.constants.BROTLI_PARAM_LARGE_WINDOW]: 1, [Zlib.constants.BROTLI_PARAM_LGWIN]: 30 },
          }),
        ),
      expected: fails("TransportFailed", "(ERR_"),
    },
  ),
]
