/**
 * The undici agents of a transport, one for each set of terms: a socket that was opened under some pins
 * and some exemption serves requests with the very same alone. Within an agent undici pools by origin, and
 * CA, client certificate and proxy are settled by the origin's host.
 */
import { Agent, errors, Pool } from "@effect/platform-node/Undici"
import type { Connecting } from "./ConnectAttempt.ts"
import { makeConnector, type Terms } from "./Connector.ts"
import { DialLimit } from "./DialLimit.ts"
import type { TransportSettings } from "./TransportSettings.ts"

/** An agent, and the terms that all its sockets meet. */
export interface PooledAgent {
  readonly agent: Agent
  readonly terms: Terms
  readonly dials: DialLimit
}

/** Lists of pins beyond these take the place of the one that was not used for the longest time. */
const maxAgents = 256

/** Agents by terms; `close` ends every socket. */
export class AgentPool {
  readonly #settings: TransportSettings
  readonly #agents = new Map<string, PooledAgent>()
  /** Those that were replaced, until their last request has ended. */
  readonly #leaving = new Set<Agent>()
  readonly #connecting: Connecting = new Set()
  #isClosed = false

  constructor(settings: TransportSettings) {
    this.#settings = settings
  }

  /** The agent for pins in any order; throws once the pool is closed. */
  get(pins: ReadonlyArray<string>, isExempt: boolean): PooledAgent {
    if (this.#isClosed) throw new errors.ClientDestroyedError()
    const terms: Terms = { pins: [...new Set(pins)].toSorted(), isExempt }
    const key = `${isExempt} ${terms.pins.join(" ")}`
    const pooled = this.#agents.get(key) ?? this.#make(terms)
    // Back in as the youngest.
    this.#agents.delete(key)
    this.#agents.set(key, pooled)
    if (this.#agents.size > maxAgents) this.#retireEldest()
    return pooled
  }

  get size(): number {
    return this.#agents.size
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const agents = [...this.#agents.values()].map(({ agent }) => agent)
    const closed = [...agents, ...this.#leaving].map((agent) => agent.destroy())
    for (const attempt of this.#connecting) attempt.end(new errors.ClientDestroyedError())
    await Promise.all(closed)
  }

  #retireEldest(): void {
    for (const [key, { agent }] of this.#agents) {
      this.#agents.delete(key)
      this.#leaving.add(agent)
      // Waits for the requests that it has.
      agent.close().then(
        () => this.#leaving.delete(agent),
        () => this.#leaving.delete(agent),
      )
      return
    }
  }

  #make(terms: Terms): PooledAgent {
    const { bodyTimeout, headersTimeout, keepAlive, maxConnectionsPerOrigin, maxHeaderBytes } = this.#settings
    const dials = new DialLimit()
    const agent = new Agent({
      connect: makeConnector(this.#settings, terms, this.#connecting, dials),
      // A pool for one connection, too: it gives a connection one request at a time.
      factory: (origin, options) => new Pool(origin, options),
      connections: maxConnectionsPerOrigin,
      pipelining: 1,
      allowH2: false,
      headersTimeout,
      bodyTimeout,
      keepAliveTimeout: keepAlive,
      keepAliveMaxTimeout: keepAlive,
      maxHeaderSize: maxHeaderBytes,
    })
    return { agent, terms, dials }
  }
}
