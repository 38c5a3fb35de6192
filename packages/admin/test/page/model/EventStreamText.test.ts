import { describe, expect, it } from "vitest"
import { EventStreamText } from "../../../page/model/EventStreamText.ts"

const stream = ': alive\n\nid: 7\nevent: jwks\ndata: {"a":1}\n\ndata: one\ndata:two\n\n'
const messages = [
  { id: "7", event: "jwks", data: '{"a":1}' },
  { id: undefined, event: "message", data: "one\ntwo" },
]

describe("the text of an event stream", () => {
  it.each(["\n", "\r\n", "\r"])("is read alike however it is cut, with %j as line end", (end) => {
    const text = `${stream.replaceAll("\n", end)}${end === "\r" ? ":" : ""}`
    for (let size = 1; size <= text.length; size++) {
      const reader = new EventStreamText()
      const read = []
      for (let at = 0; at < text.length; at += size) read.push(...reader.read(text.slice(at, at + size)))
      expect(read).toEqual(messages)
    }
  })

  it("keeps what is not complete yet", () => {
    const reader = new EventStreamText()
    expect(reader.read("data: half")).toEqual([])
    expect(reader.read(" and half\n\n")).toEqual([{ id: undefined, event: "message", data: "half and half" }])
  })
})
