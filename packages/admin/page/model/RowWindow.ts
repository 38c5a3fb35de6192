/**
 * Which rows of a long list exist at all: those in view and some around them. The rest is empty height.
 */

/** Rows `from` (included) to `to` (excluded). */
export interface RowWindow {
  readonly from: number
  readonly to: number
}

/** Rows above and below the view that are there already when somebody scrolls. */
const around = 8

/** The rows for a view of `viewHeight` pixels that begins `scrolled` pixels below the top of the list. */
export const rowWindow = (scrolled: number, viewHeight: number, rowHeight: number, total: number): RowWindow => {
  if (rowHeight <= 0 || total <= 0) return { from: 0, to: 0 }
  const first = Math.floor(scrolled / rowHeight) - around
  const last = Math.ceil((scrolled + viewHeight) / rowHeight) + around
  return { from: Math.min(total, Math.max(0, first)), to: Math.min(total, Math.max(0, last)) }
}

/** Rows in one request. */
export const pageSize = 50

/** The numbers of the pages that hold the rows of `window`. */
export const pagesOf = ({ from, to }: RowWindow): ReadonlyArray<number> => {
  if (to <= from) return []
  const first = Math.floor(from / pageSize)
  return Array.from({ length: Math.floor((to - 1) / pageSize) - first + 1 }, (_, index) => first + index)
}
