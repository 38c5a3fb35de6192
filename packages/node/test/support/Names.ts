/**
 * A resolver for tests, in the shape of `lookup` of `node:dns`.
 */
import { isIPv6, type LookupFunction } from "node:net"

/** A resolver, and what it was asked. */
export interface Names {
  readonly lookup: LookupFunction
  readonly asked: ReadonlyArray<string>
}

/** Each look-up of a name takes the next of its answers; the last one stays. Other names do not exist. */
export const names = (answers: Readonly<Record<string, ReadonlyArray<ReadonlyArray<string>>>>): Names => {
  const asked: Array<string> = []
  return {
    asked,
    lookup: (hostname, _, callback) => {
      const turn = asked.filter((name) => name === hostname).length
      asked.push(hostname)
      const known = answers[hostname]
      const addresses = known?.[Math.min(turn, known.length - 1)]
      queueMicrotask(() =>
        addresses === undefined
          ? callback(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }), [])
          : callback(
              null,
              addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 })),
            ),
      )
    },
  }
}

/** These names are on 127.0.0.1. */
export const onLoopback = (...hosts: ReadonlyArray<string>): Names =>
  names(Object.fromEntries(hosts.map((host) => [host, [["127.0.0.1"]]])))
