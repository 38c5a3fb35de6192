/**
 * One provider in full: a panel over the page, with the button that forces a refresh.
 */
import { inBackground } from "../net/Background.ts"
import { keyChanges } from "../model/KeyChanges.ts"
import { countText, pluralText, ratioText } from "../model/NumberText.ts"
import { activityText, healthAt, nextAttemptAt } from "../model/Standing.ts"
import { momentText, relativeText } from "../model/TimeText.ts"
import { nameKey } from "../model/Wire.ts"
import type { KeyRow, ProviderDetail, ProviderName, RefreshOutcome } from "../model/Wire.ts"
import { ApiProblem, isAbort, problemText } from "../net/AdminApi.ts"
import type { AdminApi } from "../net/AdminApi.ts"
import type { ServerClock } from "../net/ServerClock.ts"
import { byId, element, setText } from "./element.ts"
import { changeList, eventItem } from "./EventItem.ts"
import { FreshnessBarView } from "./FreshnessBarView.ts"
import { HealthBadge } from "./HealthBadge.ts"

/** How a fact reads at a moment. */
type Fact = readonly [label: string, text: (now: number) => string]

const timeFact = (label: string, at: number | undefined): ReadonlyArray<Fact> =>
  at === undefined ? [] : [[label, (now) => `${momentText(at, now)}, ${relativeText(at, now)}`]]

const factsOf = (detail: ProviderDetail): ReadonlyArray<Fact> => [
  ...timeFact("Fetched", detail.fetchedAt),
  ...timeFact("Refresh point", detail.nextRefreshAt),
  ...timeFact("Expiry", detail.expiresAt),
  ...timeFact("Stale limit", detail.staleUntil),
  ...timeFact("Next attempt", nextAttemptAt(detail)),
  [
    "Hits",
    () => `${ratioText(detail.hits, detail.requests)}, ${countText(detail.hits)} of ${countText(detail.requests)}`,
  ],
  ["Misses", () => countText(detail.misses)],
  ["Served stale", () => countText(detail.stale)],
  ["Refreshes", () => countText(detail.refreshes)],
  ["Failed refreshes", () => countText(detail.refreshErrors)],
  [
    "Not modified",
    () =>
      `${ratioText(detail.notModified, detail.refreshes)}, ${countText(detail.notModified)} of ${countText(detail.refreshes)}`,
  ],
]

const keyItem = (key: KeyRow): HTMLElement =>
  element(
    "li",
    { class: "key" },
    element(
      "div",
      { class: "key-line" },
      ...(key.kid === undefined
        ? [element("span", { class: "faint" }, "no kid")]
        : [element("span", {}, "kid "), element("code", { class: "kid" }, key.kid)]),
      ...[key.kty, key.alg, key.use].flatMap((text) =>
        text === undefined ? [] : [element("span", { class: "tag" }, text)],
      ),
    ),
    element(
      "div",
      { class: "key-line faint" },
      "thumbprint ",
      element("code", { class: "thumbprint" }, key.thumbprint),
    ),
    ...(key.jwk === undefined
      ? [element("p", { class: "faint" }, "The public key is shown while the set is usable.")]
      : [
          element(
            "details",
            {},
            element("summary", {}, `Public JWK${key.kid === undefined ? "" : ` of ${key.kid}`}`),
            element("pre", { tabindex: "0" }, JSON.stringify(key.jwk, null, 2)),
          ),
        ]),
  )

const outcomeNodes = (outcome: RefreshOutcome): ReadonlyArray<Node | string> => {
  if (outcome._tag === "NotModified") return ["Refreshed: the provider confirmed the set (304 or the same keys)."]
  const changes = keyChanges("KeysChanged", { ...outcome })
  return changes.length === 0 ? ["Refreshed: the same keys."] : ["Refreshed: the keys changed.", changeList(changes)]
}

export interface DetailListener {
  readonly onClose: () => void
  readonly onTenant: (tenant: string) => void
  /** Asks for the token; whether there is one now. */
  readonly askToken: (why: "needed" | "wrong") => Promise<boolean>
  readonly onRefreshed: () => void
}

export class DetailView {
  readonly #dialog = byId("detail", HTMLDialogElement)
  readonly #title = byId("detail-title", HTMLElement)
  readonly #url = byId("detail-url", HTMLElement)
  readonly #badge = new HealthBadge()
  readonly #activity = element("span", { class: "faint" })
  readonly #bar = new FreshnessBarView()
  readonly #facts = byId("detail-facts", HTMLElement)
  readonly #failure = byId("detail-failure", HTMLElement)
  readonly #sections = byId("detail-sections", HTMLElement)
  readonly #refresh = byId("detail-refresh", HTMLButtonElement)
  readonly #tenant = byId("detail-tenant", HTMLButtonElement)
  readonly #outcome = byId("detail-outcome", HTMLElement)
  readonly #api: AdminApi
  readonly #clock: ServerClock
  readonly #hasToken: () => boolean
  readonly #listener: DetailListener
  #name: ProviderName | undefined
  #detail: ProviderDetail | undefined
  #loading = new AbortController()
  readonly #drawn = new Map<string, string>()
  #factTexts: ReadonlyArray<{ readonly value: HTMLElement; readonly text: Fact[1] }> = []

  constructor(api: AdminApi, clock: ServerClock, hasToken: () => boolean, listener: DetailListener) {
    this.#api = api
    this.#clock = clock
    this.#hasToken = hasToken
    this.#listener = listener
    byId("detail-state", HTMLElement).append(this.#badge.node, this.#activity)
    byId("detail-bar", HTMLElement).append(this.#bar.node)
    byId("detail-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close())
    this.#dialog.addEventListener("close", () => {
      // The event comes a task later. By then another provider may be shown.
      if (this.#dialog.open) return
      this.#forget()
      this.#listener.onClose()
    })
    // A click beside the panel closes it; the panel's own content covers the dialog.
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close()
    })
    this.#refresh.addEventListener("click", () => inBackground(this.#forceRefresh()))
    this.#tenant.addEventListener("click", () => {
      if (this.#name === undefined) return
      const { tenant } = this.#name
      this.#dialog.close()
      this.#listener.onTenant(tenant)
    })
  }

  /** The provider that is shown. */
  get shown(): ProviderName | undefined {
    return this.#name
  }

  open(name: ProviderName): void {
    if (this.#name !== undefined && nameKey(this.#name) === nameKey(name)) return
    this.#forget()
    this.#name = name
    setText(this.#title, `${name.tenant} / ${name.provider}`)
    setText(this.#tenant, `Only tenant ${name.tenant}`)
    setText(this.#url, "")
    this.#outcome.replaceChildren()
    this.#failure.replaceChildren()
    this.#facts.replaceChildren()
    this.#sections.replaceChildren(element("p", { class: "faint" }, "Loading."))
    if (!this.#dialog.open) this.#dialog.showModal()
    this.#dialog.scrollTop = 0
    inBackground(this.reload())
  }

  close(): void {
    if (this.#dialog.open) this.#dialog.close()
  }

  /** Fetches what is shown again. */
  async reload(): Promise<void> {
    const name = this.#name
    if (name === undefined) return
    this.#loading.abort()
    this.#loading = new AbortController()
    const { signal } = this.#loading
    const askedAt = Date.now()
    try {
      const detail = await this.#api.provider(name, signal)
      if (signal.aborted) return
      this.#clock.take(detail.now, askedAt)
      this.#detail = detail
      this.#draw(detail)
    } catch (error) {
      if (isAbort(error) || signal.aborted) return
      // While the server is away, the last answer says more than nothing; the page itself tells that it is away.
      if (this.#detail !== undefined) return
      this.#sections.replaceChildren(element("p", { class: "problem" }, problemText(error)))
    }
  }

  tick(): void {
    const detail = this.#detail
    if (detail === undefined) return
    const now = this.#clock.now()
    this.#badge.update(healthAt(detail, now))
    this.#bar.update(detail, now)
    for (const { value, text } of this.#factTexts) setText(value, text(now))
  }

  #forget(): void {
    this.#loading.abort()
    this.#name = undefined
    this.#detail = undefined
    this.#factTexts = []
    this.#drawn.clear()
  }

  #draw(detail: ProviderDetail): void {
    const now = this.#clock.now()
    setText(this.#url, detail.url)
    setText(this.#activity, activityText(detail))
    const facts = factsOf(detail).map(([label, text]) => ({ label, text, value: element("dd", {}, text(now)) }))
    this.#factTexts = facts
    this.#facts.replaceChildren(...facts.map(({ label, value }) => element("div", {}, element("dt", {}, label), value)))
    this.#drawFailure(detail, now)
    if (this.#drawn.size === 0) {
      this.#sections.replaceChildren(
        ...["keys", "dropped", "errors", "events"].map((part) => element("section", { id: `detail-${part}` })),
      )
    }
    this.#part("keys", detail.keyList, `Keys (${detail.keyList.length})`, "No usable key is held.", () =>
      element("ul", { class: "keys" }, ...detail.keyList.map(keyItem)),
    )
    this.#part("dropped", detail.droppedList, `Dropped keys (${detail.droppedList.length})`, undefined, () =>
      element(
        "ul",
        { class: "plain" },
        ...detail.droppedList.map(({ kid, reason }) =>
          element(
            "li",
            {},
            ...(kid === undefined ? ["no kid"] : ["kid ", element("code", { class: "kid" }, kid)]),
            ": ",
            element("strong", {}, reason),
          ),
        ),
      ),
    )
    this.#part("errors", detail.errors, "Last errors", "None.", () =>
      element(
        "ul",
        { class: "plain" },
        ...detail.errors.map(({ at, reason, message }) =>
          element(
            "li",
            {},
            element("time", { datetime: new Date(at).toISOString() }, momentText(at, now)),
            " ",
            element("strong", {}, reason),
            " ",
            message,
          ),
        ),
      ),
    )
    this.#part("events", detail.events, "Events", "None yet.", () =>
      element("ol", { class: "events" }, ...detail.events.map((event) => eventItem(event, now, false))),
    )
    this.tick()
  }

  /** Draws a section again where its data changed, so that an opened key stays open while counts move. */
  #part(
    name: string,
    data: ReadonlyArray<unknown>,
    title: string,
    none: string | undefined,
    content: () => HTMLElement,
  ): void {
    const text = JSON.stringify(data)
    if (this.#drawn.get(name) === text) return
    this.#drawn.set(name, text)
    const section = byId(`detail-${name}`, HTMLElement)
    section.hidden = data.length === 0 && none === undefined
    section.replaceChildren(
      element("h3", {}, title),
      data.length === 0 ? element("p", { class: "faint" }, none ?? "") : content(),
    )
  }

  #drawFailure({ failure }: ProviderDetail, now: number): void {
    if (failure === undefined) {
      this.#failure.replaceChildren()
      return
    }
    this.#failure.replaceChildren(
      element(
        "p",
        { class: "problem" },
        element("strong", {}, failure.reason),
        ` ${failure.message}. ${pluralText(failure.count, "failure")} in a row, the last ${momentText(failure.at, now)}.`,
      ),
    )
  }

  async #forceRefresh(): Promise<void> {
    const name = this.#name
    if (name === undefined) return
    if (!this.#hasToken() && !(await this.#listener.askToken("needed"))) return
    // Not `disabled`, which would take the focus away.
    if (this.#refresh.getAttribute("aria-disabled") === "true") return
    this.#refresh.setAttribute("aria-disabled", "true")
    setText(this.#outcome, "Refreshing.")
    try {
      const outcome = await this.#api.refresh(name)
      this.#tell(name, "good", outcomeNodes(outcome))
      this.#listener.onRefreshed()
    } catch (error) {
      this.#tell(name, "bad", [`Not refreshed. ${problemText(error)}`])
      if (error instanceof ApiProblem && error.kind === "unauthorized") {
        if (await this.#listener.askToken("wrong")) {
          this.#refresh.setAttribute("aria-disabled", "false")
          await this.#forceRefresh()
        }
      }
    } finally {
      this.#refresh.setAttribute("aria-disabled", "false")
      inBackground(this.reload())
    }
  }

  #tell(name: ProviderName, kind: "good" | "bad", nodes: ReadonlyArray<Node | string>): void {
    // The panel may show another provider by now.
    if (this.#name === undefined || nameKey(this.#name) !== nameKey(name)) return
    this.#outcome.dataset["kind"] = kind
    this.#outcome.replaceChildren(...nodes)
  }
}
