/**
 * Elements from code. Data becomes text nodes and attributes, never markup.
 */

type Attributes = Readonly<Record<string, string | undefined>>

/** A new element; attributes that are `undefined` are left out. */
export const element = <Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Node | string>
): HTMLElementTagNameMap[Name] => {
  const made = document.createElement(name)
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(attribute, value)
  }
  made.append(...children)
  return made
}

/** The element of the page with this id, which has to be of this kind. */
export const byId = <E extends Element>(id: string, kind: new () => E): E => {
  const found = document.getElementById(id)
  if (!(found instanceof kind)) throw new Error(`the page has no #${id}`)
  return found
}

/** Sets the text where it is another one: an unchanged text must not reach a screen reader again. */
export const setText = (target: Element, text: string): void => {
  if (target.textContent !== text) target.textContent = text
}

export const setAttribute = (target: Element, name: string, value: string): void => {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value)
}

/** Makes `nodes` the children of `parent`, in this order, and touches only those that are not in their place. */
export const arrange = (parent: Element, nodes: ReadonlyArray<Element>): void => {
  const wanted = new Set<Element>(nodes)
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove()
  let place = parent.firstElementChild
  for (const node of nodes) {
    if (node === place) place = place.nextElementSibling
    else parent.insertBefore(node, place)
  }
}

const svgNamespace = "http://www.w3.org/2000/svg"

/** One of the page's drawn signs, by the name of its symbol; the words beside it say the same. */
export const sign = (name: string): SVGSVGElement => {
  const svg = document.createElementNS(svgNamespace, "svg")
  svg.setAttribute("class", `sign sign-${name}`)
  svg.setAttribute("aria-hidden", "true")
  const use = document.createElementNS(svgNamespace, "use")
  use.setAttribute("href", `#sign-${name}`)
  svg.append(use)
  return svg
}
