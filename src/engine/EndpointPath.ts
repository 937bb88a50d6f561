/**
 * Which endpoint a path belongs to, and what the parameters in its path and query are.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import type { Fields } from "../contract/Definition.ts"
import * as Issue from "../wire/Issue.ts"

type Strings = { readonly [name: string]: string | ReadonlyArray<string> }
type Values = { readonly [name: string]: unknown }

/** Decodes parameters; a failure is a sentence for the client that names the parameter and not its value. */
export type Decode = (strings: Strings) => Result.Result<Values, string>

/** Makes the decoder of the parameters of one kind. Throws for schemas that no text stands for. */
export const decoder = (kind: string, fields: Fields): Decode => {
  // The fields' services are `never`: it decodes synchronously, unless a schema breaks its word.
  const schema = Schema.Struct(fields as { readonly [name: string]: Schema.ConstraintCodec<unknown, unknown> })
  const decode = SchemaParser.decodeUnknownEffect(Schema.toCodecArrayFromSingle(Schema.toCodecStringTree(schema)))
  return (strings) => {
    const exit = Effect.runSyncExit(Effect.suspend(() => decode(strings)))
    if (exit._tag === "Success") return Result.succeed(exit.value as Values)
    const issue = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
    const { detail, field } = SchemaIssue.isIssue(issue) ? Issue.toInvalidPayload(issue, "") : Issue.unknownInvalid("")
    return Result.fail(`${kind} parameter${field.replace(".", " ")}: ${detail}`)
  }
}

/** One percent-encoded segment as text; what is not UTF-8 becomes U+FFFD. */
const decodeSegment = (segment: string): string =>
  segment.includes("%") ? new URLSearchParams(`_=${segment.replace(/[+&]/g, encodeURIComponent)}`).get("_")! : segment

/** A path with parameters, for example `/rooms/:room`. */
export class Pattern {
  readonly path: string
  private readonly segments: ReadonlyArray<{ readonly text: string; readonly isParam: boolean }>

  constructor(path: string) {
    this.path = path
    this.segments = path.slice(1).split("/").map((segment) =>
      segment.startsWith(":") ? { text: segment.slice(1), isParam: true } : { text: segment, isParam: false }
    )
    const isWrong = !path.startsWith("/") || /[?#%\s]/.test(path) || this.names.includes("") ||
      (path !== "/" && this.segments.some(({ text }) => text === "")) || new Set(this.names).size < this.names.length
    if (isWrong) throw new Error(`heddle: "${path}" is not the path of an endpoint`)
  }

  /** Names of the parameters. */
  get names(): ReadonlyArray<string> {
    return this.segments.filter(({ isParam }) => isParam).map(({ text }) => text)
  }

  /** The parameters as text: their schemas unless others are given. */
  get fields(): Fields {
    return Object.fromEntries(this.names.map((name) => [name, Schema.String]))
  }

  /** Two patterns of one shape match the same paths; in order of their shapes, the more literal comes first. */
  get shape(): string {
    return this.segments.map(({ isParam, text }) => isParam ? "/\uffff" : `/${text}`).join("")
  }

  /** The parameters in a path, not yet decoded by their schemas; undefined if it is another path. */
  match(path: string): Strings | undefined {
    const given = path.slice(1).split("/")
    if (given.length !== this.segments.length) return undefined
    const params: Record<string, string> = {}
    for (const [index, { isParam, text }] of this.segments.entries()) {
      const segment = decodeSegment(given[index]!)
      if (isParam ? segment === "" : segment !== text) return undefined
      if (isParam) params[text] = segment
    }
    return params
  }
}

/** The parameters of a query that somebody asks for: repeated ones as arrays. */
export const queryStrings = (url: string, names: ReadonlyArray<string>): Strings => {
  const found: Record<string, string | ReadonlyArray<string>> = {}
  const start = url.indexOf("?")
  if (start < 0 || names.length === 0) return found
  const search = new URLSearchParams(url.slice(start + 1))
  for (const name of names) {
    const values = search.getAll(name)
    if (values.length > 0) found[name] = values.length === 1 ? values[0]! : values
  }
  return found
}
