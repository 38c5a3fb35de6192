/**
 * The page: what it is made of, and how news travels between the parts.
 */
import { inBackground } from "./net/Background.ts"
import { hasRestarted, mergeEvents } from "./model/EventLog.ts"
import { firstQuery } from "./model/ListQuery.ts"
import type { ListQuery } from "./model/ListQuery.ts"
import { routeOf } from "./model/Route.ts"
import { nameKey } from "./model/Wire.ts"
import type { TimelineEvent } from "./model/Wire.ts"
import { AdminApi, ApiProblem, problemText } from "./net/AdminApi.ts"
import { Batched } from "./net/Batched.ts"
import { LiveStream } from "./net/LiveStream.ts"
import { ProviderPages } from "./net/ProviderPages.ts"
import { ServerClock } from "./net/ServerClock.ts"
import { Session } from "./net/Session.ts"
import { Announcer } from "./view/Announcer.ts"
import { ConnectionView } from "./view/ConnectionView.ts"
import { DetailView } from "./view/DetailView.ts"
import { byId, setAttribute } from "./view/element.ts"
import { ListControls } from "./view/ListControls.ts"
import { ProviderList } from "./view/ProviderList.ts"
import { SignIn } from "./view/SignIn.ts"
import type { SignInReason } from "./view/SignIn.ts"
import { startTheme } from "./view/Theme.ts"
import { TimelineView } from "./view/TimelineView.ts"

/** Events come at once; this catches what no event tells, such as a refresh that is under way, and the counters. */
const pollMillis = 15_000
/** However much happens, the list is asked for no more often than this. */
const refetchGap = 1_000
const arrivalMillis = 50
const eventPage = 200

const session = new Session()
const api = new AdminApi(session)
const clock = new ServerClock()
const announcer = new Announcer(byId("answers", HTMLElement), byId("news", HTMLElement))
const signIn = new SignIn(api, session)

const main = byId("main", HTMLElement)
const grid = byId("grid", HTMLElement)
const sections = {
  locked: byId("locked", HTMLElement),
  fleet: byId("fleet", HTMLElement),
  timeline: byId("timeline", HTMLElement),
}

let isIn = false
let view: "fleet" | "timeline" = "fleet"
let events: ReadonlyArray<TimelineEvent> = []
/** Events that the stream brought and that wait to be taken together. */
let arriving: Array<TimelineEvent> = []
let hasReadEvents = false
let droppedOnTheWay = 0
let droppedByServer = 0
let hasOlderEvents = false

// -----------------------------------------------------------------------------
// The fleet
// -----------------------------------------------------------------------------

const failed = (error: unknown): void => {
  if (error instanceof ApiProblem && error.kind === "unauthorized") lock("wrong")
  else connection.problem(problemText(error))
}

const pages = new ProviderPages(api, clock, firstQuery, {
  onChange: () => {
    connection.problem(undefined)
    setAttribute(grid, "aria-busy", "false")
    controls.showAnswer(pages.counts, pages.total)
    list.render()
  },
  onProblem: failed,
})

const refetch = new Batched(refetchGap, async () => {
  await Promise.all([
    // At least the first page: where nothing is found there is nothing in view, and that may change.
    pages.refetch(list.pagesInView.length === 0 ? [0] : list.pagesInView),
    touchesDetail ? detail.reload() : undefined,
  ])
  touchesDetail = false
})
let touchesDetail = false

const list = new ProviderList(grid, byId("rows", HTMLElement), pages, clock, announcer, () => refetch.ask())

const ask = (query: ListQuery): void => {
  controls.showQuery(query)
  setAttribute(grid, "aria-busy", "true")
  list.toTop()
  inBackground(pages.ask(query))
}
const controls = new ListControls(() => pages.query, ask, announcer)

// -----------------------------------------------------------------------------
// Events
// -----------------------------------------------------------------------------

const timeline = new TimelineView(clock, async () => {
  const oldest = events.at(-1)
  if (oldest === undefined || !hasOlderEvents) return
  try {
    const answer = await api.events(eventPage, oldest.id)
    hasOlderEvents = answer.items.length === eventPage
    takeEvents(answer.items)
  } catch (error) {
    failed(error)
  }
})

const takeEvents = (arrived: ReadonlyArray<TimelineEvent>): void => {
  events = mergeEvents(events, arrived)
  timeline.show(events, droppedOnTheWay + droppedByServer, hasOlderEvents)
}

/** When a large fleet starts, thousands of events come at once. */
const takeArriving = (): void => {
  const arrived = arriving
  arriving = []
  if (arrived.length === 0 || !isIn) return
  if (hasRestarted(events, arrived, false)) events = []
  takeEvents(arrived)
}

/** The newest events from the buffer: at the start, and where the stream may have left something out. */
const readNewestEvents = async (): Promise<void> => {
  const before = events
  try {
    const answer = await api.events(eventPage)
    // Compared with what was known when it was asked: the stream may have brought newer ones since.
    const isAnew = hasRestarted(before, answer.items, true)
    if (isAnew) events = events.filter((event) => !before.includes(event))
    if (isAnew || before.length === 0) hasOlderEvents = answer.items.length === eventPage
    hasReadEvents = true
    droppedByServer = answer.dropped
    takeEvents(answer.items)
    if (isAnew) stream.resumeAfter(answer.items[0]?.id)
  } catch (error) {
    failed(error)
  }
}

/** Marks what an event is about as out of date. */
const touch = ({ tenant, provider }: { readonly tenant: string; readonly provider: string }): void => {
  const shown = detail.shown
  if (shown !== undefined && nameKey(shown) === nameKey({ tenant, provider })) touchesDetail = true
  refetch.ask()
}

const stream = new LiveStream(api, {
  onState: (state) => connection.stream(state),
  onOpen: (isAgain) => {
    if (!isAgain && hasReadEvents) return
    touchesDetail = true
    refetch.ask()
    inBackground(readNewestEvents())
  },
  onEvent: (event) => {
    if (arriving.push(event) === 1) setTimeout(takeArriving, arrivalMillis)
    touch(event)
  },
  onDropped: (count) => {
    droppedOnTheWay += count
    touchesDetail = true
    refetch.ask()
    inBackground(readNewestEvents())
  },
  onUnauthorized: () => lock("wrong"),
})

const connection = new ConnectionView(() => {
  stream.retryNow()
  refetch.ask()
})

// -----------------------------------------------------------------------------
// One provider, and where the viewer is
// -----------------------------------------------------------------------------

const detail = new DetailView(api, clock, () => session.token !== undefined, {
  onClose: () => {
    if (routeOf(location.hash).view !== "provider") return
    history.replaceState(null, "", `#${view}`)
    // The dialog gives the focus back to where it came from; that may be gone.
    if (document.activeElement === document.body) main.focus({ preventScroll: true })
  },
  onTenant: (tenant) => {
    view = "fleet"
    history.replaceState(null, "", "#fleet")
    showRoute()
    ask({ ...pages.query, search: "", health: undefined, tenant })
  },
  askToken: async (why) => {
    const isGiven = await signIn.ask(why)
    showSession()
    return isGiven
  },
  onRefreshed: () => refetch.ask(),
})

const showRoute = (): void => {
  const route = routeOf(location.hash)
  if (route.view !== "provider") view = route.view
  sections.locked.hidden = isIn
  sections.fleet.hidden = !isIn || view !== "fleet"
  sections.timeline.hidden = !isIn || view !== "timeline"
  for (const link of document.querySelectorAll("#views a")) {
    if (link.getAttribute("href") === `#${view}`) link.setAttribute("aria-current", "page")
    else link.removeAttribute("aria-current")
  }
  if (isIn && route.view === "provider") detail.open(route)
  else detail.close()
  if (!isIn) return
  if (view === "timeline") timeline.render()
  else list.render()
}

// -----------------------------------------------------------------------------
// In and out
// -----------------------------------------------------------------------------

const showSession = (): void => {
  byId("log-out", HTMLElement).hidden = session.token === undefined
  byId("views", HTMLElement).hidden = !isIn
}

/** Begins to show and to listen; the first answer tells whether the token is good. */
const enter = async (): Promise<void> => {
  isIn = true
  showSession()
  showRoute()
  ask(pages.query)
  await readNewestEvents()
  // The first answer may have sent the viewer to the form.
  // An empty buffer is resumed from its beginning, so that nothing falls between it and the stream.
  if (isIn) stream.start(events[0]?.id ?? (hasReadEvents ? 0 : undefined))
}

/** Shows nothing any more, and asks for the token. */
const lock = (reason: SignInReason): void => {
  if (!isIn && reason === "wrong") return
  // Without a token the server can not call one wrong.
  const why = session.token === undefined ? "needed" : reason
  isIn = false
  session.forget()
  stream.stop()
  refetch.cancel()
  connection.stream(undefined)
  connection.problem(undefined)
  events = []
  arriving = []
  hasReadEvents = false
  timeline.show([], 0, false)
  pages.clear()
  showSession()
  showRoute()
  inBackground(askAndEnter(why))
}

const askAndEnter = async (reason: SignInReason): Promise<void> => {
  if (await signIn.ask(reason)) await enter()
}

byId("log-out", HTMLElement).addEventListener("click", () => {
  session.forget()
  // A new page is the surest way to keep nothing of what was shown.
  location.reload()
})
byId("enter-token", HTMLElement).addEventListener("click", () => inBackground(askAndEnter("needed")))
byId("skip", HTMLElement).addEventListener("click", (event) => {
  // The fragment is the route, so the link must not change it.
  event.preventDefault()
  main.focus()
})
addEventListener("hashchange", showRoute)
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) tick()
})

const tick = (): void => {
  if (document.hidden || !isIn) return
  connection.tick()
  if (view === "fleet") list.tick()
  detail.tick()
}
setInterval(tick, 1_000)
setInterval(() => {
  if (!isIn) return
  touchesDetail = true
  refetch.ask()
}, pollMillis)

startTheme()
controls.showQuery(pages.query)

/** Whether this page came with a 401, which spares a request that could only be refused. */
const isShell = performance
  .getEntriesByType("navigation")
  .some((entry) => entry instanceof PerformanceNavigationTiming && entry.responseStatus === 401)
if (isShell && session.token === undefined) lock("needed")
else inBackground(enter())
