/**
 * Light or dark: as the system says, until somebody says otherwise.
 */
import { byId, setText } from "./element.ts"

const name = "jwks-admin-theme"
const themes = ["auto", "light", "dark"] as const

type ThemeName = (typeof themes)[number]

const stored = (): ThemeName => {
  try {
    const value = localStorage.getItem(name)
    return themes.find((theme) => theme === value) ?? "auto"
  } catch {
    return "auto" // storage may be forbidden
  }
}

/** Makes the button go through the themes. */
export const startTheme = (): void => {
  const button = byId("theme", HTMLButtonElement)
  let theme = stored()
  const show = () => {
    document.documentElement.dataset["theme"] = theme
    setText(button, `Theme: ${theme}`)
  }
  show()
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length] ?? "auto"
    show()
    try {
      localStorage.setItem(name, theme)
    } catch {
      // It holds until the page is left.
    }
  })
}
