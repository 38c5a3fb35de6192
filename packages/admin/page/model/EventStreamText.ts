/**
 * The text of an event stream, read piece by piece (WHATWG HTML, section 9.2.6). `EventSource` would do it, but it can
 * not send the token.
 */

export interface StreamMessage {
  readonly id: string | undefined
  readonly event: string
  readonly data: string
}

/** Takes pieces of the stream, however they are cut, and gives the messages that each piece completes. */
export class EventStreamText {
  #rest = ""

  read(piece: string): ReadonlyArray<StreamMessage> {
    // A CR at the end may be the first half of a CRLF: it waits for the next piece.
    const text = this.#rest + piece
    const usable = text.endsWith("\r") ? text.slice(0, -1) : text
    const blocks = usable.replace(/\r\n?/g, "\n").split("\n\n")
    this.#rest = (blocks.pop() ?? "") + text.slice(usable.length)
    return blocks.flatMap((block) => {
      const message = parse(block)
      return message === undefined ? [] : [message]
    })
  }
}

const parse = (block: string): StreamMessage | undefined => {
  let id: string | undefined
  let event = "message"
  const data: Array<string> = []
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":")
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "")
    if (field === "id") id = value
    else if (field === "event") event = value
    else if (field === "data") data.push(value)
  }
  // Comments keep the connection alive and are no message.
  return data.length === 0 ? undefined : { id, event, data: data.join("\n") }
}
