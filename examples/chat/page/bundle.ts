/**
 * The chat's page, bundled while the server starts, and served from memory.
 */
import * as Fs from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url))

const script = async () => {
  const build = await rolldown({
    input: pathOf("main.tsx"),
    platform: "browser",
    tsconfig: false,
    treeshake: { moduleSideEffects: false },
    transform: { jsx: { runtime: "automatic", importSource: "preact" } }
  })
  const { output } = await build.generate({ format: "es", minify: true })
  await build.close()
  return output[0].code
}

interface File {
  readonly type: string
  /** For how many seconds a browser need not ask again. */
  readonly maxAge: number
  readonly text: Promise<string>
}

const file = (type: string, text: Promise<string>, maxAge = 0): File => {
  text.catch((error: unknown) => console.error("the page could not be made:", error))
  return { type: `${type}; charset=utf-8`, text, maxAge }
}

const files = new Map<string, File>([
  ["/", file("text/html", Fs.readFile(pathOf("index.html"), "utf8"))],
  ["/page.css", file("text/css", Fs.readFile(pathOf("page.css"), "utf8"))],
  ["/icon.svg", file("image/svg+xml", Fs.readFile(pathOf("icon.svg"), "utf8"), 3_600)],
  ["/page.js", file("text/javascript", script())]
])

/** Nothing but what this server itself gives. */
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** Answers the requests of a browser. */
export const page = async ({ method, url }: Request): Promise<Response> => {
  const found = files.get(new URL(url).pathname)
  if (found === undefined) return new Response("not found\n", { status: 404 })
  if (method !== "GET" && method !== "HEAD") return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } })
  return new Response(await found.text, {
    headers: {
      "content-type": found.type,
      "content-security-policy": policy,
      "cache-control": `max-age=${found.maxAge}`,
      "x-content-type-options": "nosniff",
      "referrer-policy": "same-origin"
    }
  })
}
