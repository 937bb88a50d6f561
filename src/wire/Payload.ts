/**
 * One message of a contract, compiled: between what code works with and its form on the wire.
 *
 * That is one form for all codecs: JSON, in which bytes stay bytes until a codec writes them (`Bytes.ts`).
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import type { Codec, SchemaOrFields, SchemaOrUnion } from "../contract/Definition.ts"
import { InvalidPayload } from "../contract/RequestError.ts"
import * as BytesSchema from "./BytesSchema.ts"
import * as Depth from "./Depth.ts"
import * as Issue from "./Issue.ts"
import * as Plain from "./Plain.ts"
import * as Structure from "./Structure.ts"

/** Encodes and decodes one message, synchronously and without ever throwing. */
export interface Payload {
  /** Takes what a sender writes, the constructor's input, and gives its form on the wire; null for no payload. */
  readonly encode: (input: unknown) => Result.Result<unknown, InvalidPayload>
  /** Takes the form on the wire and gives the value; undefined for no payload. */
  readonly decode: (wire: unknown) => Result.Result<unknown, InvalidPayload>
  /** The form on the wire as text, for the contract's fingerprint. */
  readonly structure: string
}

/**
 * Compiles a schema, or the fields of a struct; `{}` and undefined are no payload.
 *
 * `base` is where the path of an `InvalidPayload` starts. Encoded values have at most `levels` levels, 64 unless said.
 * Throws for a schema without JSON form: a mistake in the contract.
 */
export const compile = (
  definition: SchemaOrFields | undefined,
  base: string,
  levels: number = Depth.maxDepth
): Payload => {
  const schema = toSchema(definition)
  return schema.ast._tag === "Void" && schema.ast.encoding === undefined ? none(base) : some(schema, base, levels)
}

/** Compiles the errors of a request or join; undefined where there are none. */
export const compileError = (definition: SchemaOrUnion | undefined): Payload | undefined => {
  if (definition === undefined) return undefined
  if (!isList(definition)) return compile(definition, "error")
  return definition.length === 0 ? undefined : compile(Schema.Union(definition), "error")
}

const isList = (definition: SchemaOrUnion): definition is ReadonlyArray<Codec> => Array.isArray(definition)

const toSchema = (definition: SchemaOrFields | undefined): Codec => {
  if (definition === undefined) return Schema.Void
  if (Schema.isSchema(definition)) return definition as Codec
  return Object.keys(definition).length === 0 ? Schema.Void : Schema.Struct(definition as Record<string, Codec>)
}

const none = (base: string): Payload => ({
  encode: () => encodedNone,
  decode: (wire) =>
    wire === null || wire === undefined
      ? Result.void
      : Result.fail(new InvalidPayload({ field: base, detail: "Expected no payload" })),
  structure: "Void"
})

const encodedNone = Result.succeed(null)

const some = (schema: Codec, base: string, levels: number): Payload => {
  const codec = BytesSchema.toCodec(schema)
  const mistake = Structure.mistake(codec.ast)
  if (mistake !== undefined) throw new Error(mistake)
  const form = SchemaAST.toEncoded(codec.ast)
  const decode = SchemaParser.decodeUnknownEffect(codec)
  const encode = SchemaParser.encodeUnknownEffect(codec)
  const isConstructed = Structure.isConstructed(schema.ast)
  const make = isConstructed ? SchemaParser.makeEffect(schema) : undefined
  const written = make === undefined ? encode : (input: unknown) => Effect.flatMapEager(make(input), encode)
  const write = run(make === undefined ? Plain.compile(codec.ast, true) : undefined, written, base)
  return {
    encode: Structure.isUnbounded(form) ? shallow(write, base, levels) : write,
    decode: run(Plain.compile(codec.ast, false), decode, base),
    structure: Structure.describe(form)
  }
}

type Step = (input: unknown) => Effect.Effect<unknown, SchemaIssue.Issue>
type Run = (input: unknown) => Result.Result<unknown, InvalidPayload>

/** What throws here may be a key that the parser does not look at. */
const attempt = (copy: Plain.Copy, input: unknown): unknown => {
  try {
    return copy(input)
  } catch {
    return Plain.misfit
  }
}

/** Schemas without asynchronous steps give an exit at once. What a schema throws is a failure of the value. */
const run = (copy: Plain.Copy | undefined, step: Step, base: string): Run => (input) => {
  const copied = copy === undefined ? Plain.misfit : attempt(copy, input)
  if (copied !== Plain.misfit) return Result.succeed(copied)
  let exit: Exit.Exit<unknown, SchemaIssue.Issue>
  try {
    exit = Effect.runSyncExit(step(input))
  } catch {
    return Result.fail(Issue.unknownInvalid(base))
  }
  if (exit._tag === "Success") return Result.succeed(exit.value)
  for (const reason of exit.cause.reasons) {
    if (reason._tag === "Fail" && SchemaIssue.isIssue(reason.error)) {
      return Result.fail(Issue.toInvalidPayload(reason.error, base))
    }
  }
  return Result.fail(Issue.unknownInvalid(base))
}

const shallow = (run: Run, base: string, levels: number): Run => (input) => {
  const result = run(input)
  return result._tag === "Failure" || Depth.within(result.success, levels)
    ? result
    : Result.fail(new InvalidPayload({ field: base, detail: `Expected at most ${levels} levels` }))
}
