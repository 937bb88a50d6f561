/**
 * Tells the other end what was wrong with a payload: where, and what was expected there; never what stood there.
 */
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import { InvalidPayload } from "../contract/RequestError.ts"

const maxLength = 256

/** Shortens a text to 256 characters, not within a surrogate pair. */
export const clip = (text: string): string => {
  if (text.length <= maxLength) return text
  const end = maxLength - 1
  const last = text.charCodeAt(end - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? end - 1 : end) + "…"
}

/**
 * The first issue as an error for the other end; `field` starts with `base`.
 *
 * Only what the schema itself says is told: the expectation of a type, the `expected` or `message` annotation of a
 * check. Messages made while it ran may hold the value. A key that is not a field of the schema reads `*`.
 */
export const toInvalidPayload = (issue: SchemaIssue.Issue, base: string): InvalidPayload => {
  let path = base
  let told: string | undefined
  let within: SchemaAST.AST | undefined
  while (true) {
    switch (issue._tag) {
      case "Pointer":
        for (const key of issue.path) path += segment(key, within)
        within = undefined
        issue = issue.issue
        continue
      case "Composite":
        within = issue.ast
        issue = issue.issues[0]
        continue
      case "Encoding":
        // The JSON form of a number also has names for what JSON has no number for.
        if (issue.ast._tag === "Number") told ??= expectation("number")
        issue = issue.issue
        continue
      case "Filter":
        told ??= checkText(issue)
        issue = issue.issue
        continue
      case "AnyOf":
        if (issue.issues.length === 1) {
          issue = issue.issues[0]
          continue
        }
        return invalid(path, told ?? SchemaIssue.defaultLeafHook(new SchemaIssue.InvalidType(issue.ast)))
      case "InvalidValue":
      case "Forbidden":
        return invalid(path, told ?? expectation(issue.annotations?.["expected"]))
      case "InvalidType":
        return invalid(path, told ?? SchemaIssue.defaultLeafHook(new SchemaIssue.InvalidType(issue.ast)))
      case "MissingKey":
        return invalid(path, told ?? SchemaIssue.defaultLeafHook(issue))
      case "UnexpectedKey":
        return invalid(path, told ?? "Expected no such key")
      case "OneOf":
        return invalid(path, told ?? "Expected exactly one member to match")
    }
  }
}

/** An error that says no more than that something did not fit. */
export const unknownInvalid = (base: string): InvalidPayload => invalid(base, expectation(undefined))

const invalid = (field: string, detail: string): InvalidPayload =>
  new InvalidPayload({ field: clip(field), detail: clip(detail) })

const expectation = (expected: unknown): string =>
  typeof expected === "string" ? `Expected ${expected}` : "Expected a valid value"

const checkText = (issue: SchemaIssue.Filter): string | undefined => {
  const { expected, message } = issue.filter.annotations ?? {}
  return typeof message === "string" ? message : typeof expected === "string" ? expectation(expected) : undefined
}

const segment = (key: PropertyKey, within: SchemaAST.AST | undefined): string => {
  if (typeof key === "number") return `[${key}]`
  const known = within?._tag !== "Objects" || within.propertySignatures.some(({ name }) => name === key)
  return known ? `.${String(key)}` : ".*"
}
