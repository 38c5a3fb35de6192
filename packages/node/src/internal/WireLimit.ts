/**
 * How much a server may send in answer to one request, whatever it is: undici counts the bytes of a body
 * and of each header section, but none of chunk extensions, and lets interim responses go on for ever.
 */
import { errors } from "@effect/platform-node/Undici"
import type { Socket } from "node:net"

/** Room for the longest body that a registration may ask for, with its header section and the framing of its chunks. */
const maxWireBytes = 17 * 1_048_576

/** Destroys a socket over which more comes for one request; the request fails with undici's error for a body that is too long. */
export const limitWire = (socket: Socket): void => {
  let written = socket.bytesWritten
  let read = socket.bytesRead
  let start = read
  // Before undici's own listener, so that what is too much is not parsed.
  socket.on("readable", () => {
    if (socket.bytesWritten !== written) {
      // Another request went out since: what was read by then was the answer to those before.
      written = socket.bytesWritten
      start = read
    }
    read = socket.bytesRead
    if (read - start > maxWireBytes) socket.destroy(new errors.ResponseExceededMaxSizeError())
  })
}
