/**
 * Work that nobody waits for. What it expects to go wrong it tells the viewer itself; anything else is a fault of the
 * page and shows up in the console, like every uncaught error.
 */
export const inBackground = (work: Promise<void>): void => {
  work.catch((error: unknown) => reportError(error))
}
