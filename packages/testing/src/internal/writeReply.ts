/**
 * Renders a reply on a socket of `node:http`.
 */
import type { ServerResponse } from "node:http"
import type { Reply } from "./Reply.ts"

const padding = Buffer.alloc(65_536, " ")

/** Writes white space up to `length` bytes at the pace of the reader, and `end` after it. */
const writePadded = (response: ServerResponse, length: number, end: Uint8Array): void => {
  let left = length
  const writeOn = () => {
    while (left > 0) {
      if (response.destroyed) return
      const chunk = left < padding.length ? padding.subarray(0, left) : padding
      left -= chunk.length
      if (!response.write(chunk)) return void response.once("drain", writeOn)
    }
    response.end(end)
  }
  writeOn()
}

/** Sends a reply, or lets the connection end the way that the reply says. */
export const writeReply = (response: ServerResponse, reply: Reply): void => {
  const { socket } = response
  if (reply._tag === "Silence") return
  if (reply._tag === "Refusal") return void socket?.resetAndDestroy()

  response.sendDate = false
  response.writeHead(reply.status, reply.headers)
  const { body } = reply
  switch (body._tag) {
    case "Whole":
      return void response.end(body.bytes)
    case "Broken":
      // Only what the kernel has taken over reaches the client before the connection ends.
      return void response.write(body.bytes, () => {
        if (body.by === "reset") socket?.resetAndDestroy()
        else socket?.end()
      })
    case "Padded":
      return writePadded(response, body.total - body.bytes.length, body.bytes)
  }
}
