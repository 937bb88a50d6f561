/**
 * What everybody who cannot see, point or read small print depends on, looked up in the page as it is.
 */
import type { Page } from "playwright-core"

interface Node {
  readonly ignored: boolean
  readonly role?: { readonly value: string }
  readonly name?: { readonly value: string }
}

const mustHaveNames = new Set(["button", "textbox", "link", "image", "log", "complementary", "heading", "checkbox"])

/** What the browser tells a screen reader. */
const namesOf = async (page: Page): Promise<ReadonlyArray<string>> => {
  const session = await page.context().newCDPSession(page)
  const { nodes } = await session.send("Accessibility.getFullAXTree") as { readonly nodes: ReadonlyArray<Node> }
  await session.detach()
  return nodes
    .filter(({ ignored, name, role }) => !ignored && mustHaveNames.has(role?.value ?? "") && !name?.value)
    .map(({ role }) => `a ${role!.value} without a name`)
}

/** Runs in the page. */
const look = (): ReadonlyArray<string> => {
  const found: Array<string> = []
  const describe = (element: Element) =>
    `${element.localName}${element.id && `#${element.id}`}${
      element.className && `.${element.className}`.replaceAll(" ", ".")
    }`
  const isShown = (element: Element) =>
    element.checkVisibility({ visibilityProperty: true }) && element.closest(".unseen") === null

  // ------------------------------------------------------------- structure
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id)
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push(`the id ${id} is there twice`)
  for (const attribute of ["aria-describedby", "aria-labelledby", "aria-controls", "for"]) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of element.getAttribute(attribute)!.split(" ")) {
        if (document.getElementById(id) === null) found.push(`${describe(element)}: ${attribute} ${id} is not there`)
      }
    }
  }
  for (const field of document.querySelectorAll<HTMLInputElement>("input, textarea, select")) {
    if ((field.labels?.length ?? 0) === 0) found.push(`${describe(field)} has no label`)
  }
  if (document.documentElement.lang === "") found.push("the page has no language")
  if (document.title === "") found.push("the page has no title")
  if (document.querySelectorAll("main").length !== 1) found.push("not one main")
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1")
  if (document.querySelector("[tabindex]:not([tabindex='0'], [tabindex='-1'])")) found.push("a tabindex above 0")
  for (const element of document.querySelectorAll("*")) {
    if (element.scrollHeight <= element.clientHeight + 1 || !/auto|scroll/.test(getComputedStyle(element).overflowY)) {
      continue
    }
    const isReachable = element.matches("[tabindex='0'], textarea") || element.querySelector("button, input, textarea")
    if (!isReachable) found.push(`${describe(element)} scrolls, but not by keyboard`)
  }

  // ------------------------------------------------------------- size
  const { clientWidth, scrollWidth } = document.documentElement
  if (scrollWidth > clientWidth) found.push(`the page is ${scrollWidth - clientWidth} px wider than the window`)
  for (const element of document.querySelectorAll("button, input, textarea")) {
    if (!isShown(element)) continue
    const { bottom, height, left, right, width } = element.getBoundingClientRect()
    if (width < 24 || height < 24) found.push(`${describe(element)} is ${width} × ${height} px`)
    const isClipped = element.closest(".log, .door, aside") === null && bottom > innerHeight + 1
    if (left < 0 || right > clientWidth + 1 || isClipped) found.push(`${describe(element)} is outside of the window`)
  }

  // ------------------------------------------------------------- contrast
  type Color = readonly [red: number, green: number, blue: number, alpha: number]
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true })!
  const parse = (color: string): Color => {
    context.clearRect(0, 0, 1, 1)
    context.fillStyle = color
    context.fillRect(0, 0, 1, 1)
    const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data
    return [red!, green!, blue!, alpha! / 255]
  }
  const over = ([r, g, b, a]: Color, [R, G, B]: Color): Color => [
    r * a + R * (1 - a),
    g * a + G * (1 - a),
    b * a + B * (1 - a),
    1
  ]
  const luminance = (color: Color): number => {
    const [red, green, blue] = color.slice(0, 3).map((value) => {
      const part = value / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
  }
  const contrast = (a: Color, b: Color): number => {
    const [lighter, darker] = [luminance(a), luminance(b)].toSorted((x, y) => y - x)
    return (lighter! + 0.05) / (darker! + 0.05)
  }
  const backgroundOf = (element: Element | null): Color => {
    if (element === null) return [255, 255, 255, 1]
    const color = parse(getComputedStyle(element).backgroundColor)
    return color[3] === 1 ? color : over(color, backgroundOf(element.parentElement))
  }
  const opacityOf = (element: Element | null): number =>
    element === null ? 1 : Number(getComputedStyle(element).opacity) * opacityOf(element.parentElement)
  const check = (element: Element, what: string, color: string, behind: Color, least: number) => {
    const [red, green, blue, alpha] = parse(color)
    const ratio = contrast(over([red, green, blue, alpha * opacityOf(element)], behind), behind)
    if (ratio < least) found.push(`${describe(element)}: contrast of ${what} is ${ratio.toFixed(2)}`)
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement!
    if (walker.currentNode.textContent!.trim() === "" || !isShown(element)) continue
    const { color, fontSize, fontWeight } = getComputedStyle(element)
    const isLarge = parseFloat(fontSize) >= (Number(fontWeight) >= 700 ? 18.66 : 24)
    check(element, `“${walker.currentNode.textContent!.slice(0, 20)}”`, color, backgroundOf(element), isLarge ? 3 : 4.5)
  }
  for (const field of document.querySelectorAll("input, textarea")) {
    const { borderColor, color } = getComputedStyle(field)
    check(field, "its text", color, backgroundOf(field), 4.5)
    check(field, "its placeholder", getComputedStyle(field, "::placeholder").color, backgroundOf(field), 4.5)
    check(field, "its border", borderColor, backgroundOf(field.parentElement), 3)
  }
  return found
}

/** Everything that is wrong with the page as it is now. */
export const problemsOf = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map(({ finished }) => finished)))
  return [...await namesOf(page), ...await page.evaluate(look)]
}
