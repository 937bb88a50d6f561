/**
 * Contracts, compiled once per process for both ends.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaParser from "effect/SchemaParser"
import * as Definition from "../contract/Definition.ts"
import { InvalidKey } from "../contract/RequestError.ts"
import * as Topic from "../contract/Topic.ts"
import * as Depth from "./Depth.ts"
import * as Payload from "./Payload.ts"
import * as Structure from "./Structure.ts"
import * as Utf8 from "./Utf8.ts"

export type { Payload } from "./Payload.ts"

/** The key of a room or topic. Its encoded form has 1 to 256 bytes. */
export interface Key {
  readonly encode: (value: unknown) => Result.Result<string, InvalidKey>
  readonly decode: (text: string) => Result.Result<unknown, InvalidKey>
}

/** A request of a contract; `error` is undefined where it has no errors of its own. */
export interface CompiledRequest {
  readonly payload: Payload.Payload
  readonly success: Payload.Payload
  readonly error: Payload.Payload | undefined
}

/** An event of a contract. Volatile ones have no offset, and a fate. */
export interface CompiledEvent {
  readonly payload: Payload.Payload
  readonly volatile: boolean
  readonly fate: Definition.Fate | "catchUp" | undefined
}

/** The contract of a room, ready to encode and decode every message. */
export interface CompiledRoom {
  readonly name: string
  /** Changes with the form of any message on the wire; the same on every runtime. */
  readonly fingerprint: string
  readonly key: Key
  readonly join: Payload.Payload
  readonly joinError: Payload.Payload | undefined
  readonly presence: Payload.Payload | undefined
  readonly snapshot: Payload.Payload | undefined
  readonly requests: ReadonlyMap<string, CompiledRequest>
  readonly notices: ReadonlyMap<string, Payload.Payload>
  readonly events: ReadonlyMap<string, CompiledEvent>
  /** A slow member is fed reliable events from the log. */
  readonly catchesUp: boolean
}

/** The contract of a topic, ready to encode and decode what is published. */
export interface CompiledTopic extends CompiledEvent {
  readonly name: string
  /** What was published last is kept for new subscribers. */
  readonly latest: boolean
  /** Changes with the form of the payload on the wire; the same on every runtime. */
  readonly fingerprint: string
  readonly key: Key
}

const maxNameBytes = 64
/** A key in its encoded form. */
export const maxKeyBytes = 256

const rooms = new WeakMap<Definition.Any, CompiledRoom>()
const topics = new WeakMap<Topic.Any, CompiledTopic>()

/** Compiles a room's contract, once per contract. Throws an `Error` that names contract and message for a mistake. */
export const compileRoom = (contract: Definition.Any): CompiledRoom => {
  let compiled = rooms.get(contract)
  if (compiled === undefined) rooms.set(contract, compiled = makeRoom(contract))
  return compiled
}

/** Compiles a topic's contract, once per contract. Throws an `Error` that names the contract for a mistake. */
export const compileTopic = (contract: Topic.Any): CompiledTopic => {
  let compiled = topics.get(contract)
  if (compiled === undefined) topics.set(contract, compiled = makeTopic(contract))
  return compiled
}

/** Compiles the parts of one contract, remembering the form of each for the fingerprint. */
const compiler = (kind: string, name: string) => {
  const forms: Array<string> = []
  const blame = (where: string, why: string): never => {
    throw new Error(`heddle: ${kind} "${name}"${where === "" ? "" : `, ${where}`}: ${why}`)
  }
  const checkName = (where: string, text: string) => {
    if (text === "" || Utf8.byteLength(text) > maxNameBytes) blame(where, `a name has 1 to ${maxNameBytes} bytes`)
  }
  checkName("", name)
  if (name.includes("/")) blame("", "a name has no \"/\"")
  const part = <P extends Payload.Payload | undefined>(where: string, compile: () => P): P => {
    let payload: P
    try {
      payload = compile()
    } catch (error) {
      return blame(where, error instanceof Error ? error.message : "the schema cannot be compiled")
    }
    if (payload !== undefined) forms.push(`${where}=${payload.structure}`)
    return payload
  }
  const messages = <D, C>(
    kind: string,
    definitions: { readonly [name: string]: D } | undefined,
    compile: (definition: D, where: string) => C
  ): ReadonlyMap<string, C> =>
    new Map(
      Object.entries(definitions ?? {}).map(([message, definition]) => {
        const where = `${kind} "${message}"`
        checkName(where, message)
        return [message, compile(definition, where)]
      })
    )
  const event = (
    definition: Definition.SchemaOrFields | Definition.Volatile,
    where: string,
    whenFull?: "catchUp"
  ): CompiledEvent => {
    const volatile = isVolatile(definition)
    const schema = volatile ? definition["~heddle/Volatile"] : definition
    return {
      payload: part(volatile ? `volatile ${where}` : where, () => Payload.compile(schema, "payload")),
      volatile,
      fate: volatile ? definition["~heddle/Fate"] : whenFull
    }
  }
  const key = (schema: Schema.ConstraintCodec<unknown, string> | undefined): Key => {
    forms.push(`key=${schema === undefined ? "String" : Structure.describe(SchemaAST.toEncoded(schema.ast))}`)
    return schema === undefined ? plainKey : makeKey(schema as Definition.Codec)
  }
  const fingerprint = () => Structure.hash([`${kind} ${name}`, ...forms.sort()].join("\n"))
  return { part, messages, event, key, fingerprint }
}

const makeRoom = (contract: Definition.Any): CompiledRoom => {
  const definition = contract[Definition.TypeId]
  const { event, fingerprint, key, messages, part } = compiler("room", contract.roomName)
  const whenFull = definition.whenFull === "catchUp" ? "catchUp" : undefined
  const declared = (where: string, schema: Definition.SchemaOrFields | undefined, levels?: number) =>
    part(where, () => schema === undefined ? undefined : Payload.compile(schema, where, levels))
  return {
    name: contract.roomName,
    key: key(definition.key),
    join: part("join", () => Payload.compile(definition.join?.payload, "payload")),
    joinError: part("the error of join", () => Payload.compileError(definition.join?.error)),
    // In a frame, presence stands within a list of members.
    presence: declared("presence", definition.presence, Depth.maxDepth - 2),
    snapshot: declared("snapshot", definition.snapshot),
    requests: messages("request", definition.requests, (request, where) => ({
      payload: part(where, () => Payload.compile(request.payload, "payload")),
      success: part(`the success of ${where}`, () => Payload.compile(request.success, "success")),
      error: part(`the error of ${where}`, () => Payload.compileError(request.error))
    })),
    notices: messages(
      "notice",
      definition.notices,
      (notice, where) => part(where, () => Payload.compile(notice, "payload"))
    ),
    events: messages("event", definition.events, (one, where) => event(one, where, whenFull)),
    catchesUp: whenFull !== undefined,
    fingerprint: fingerprint()
  }
}

const makeTopic = (contract: Topic.Any): CompiledTopic => {
  const definition = contract[Topic.TypeId]
  const { event, fingerprint, key } = compiler("topic", contract.topicName)
  return {
    name: contract.topicName,
    key: key(definition.key),
    latest: definition.latest === true,
    ...event(definition.payload, "payload"),
    fingerprint: fingerprint()
  }
}

const isVolatile = (definition: Definition.SchemaOrFields | Definition.Volatile): definition is Definition.Volatile =>
  "~heddle/Volatile" in definition

// ------------------------------------------------------------- keys

const wrongSize = Result.fail(new InvalidKey({ detail: `Expected 1 to ${maxKeyBytes} bytes` }))
const wrongForm = Result.fail(new InvalidKey({ detail: "Expected a key of the contract's form" }))

const sized = (key: unknown): Result.Result<string, InvalidKey> =>
  typeof key !== "string"
    ? wrongForm
    : key === "" || Utf8.exceeds(key, maxKeyBytes)
    ? wrongSize
    : Result.succeed(key)

const plainKey: Key = { encode: sized, decode: sized }

const makeKey = (schema: Definition.Codec): Key => {
  const encode = attempt(SchemaParser.encodeUnknownEffect(schema))
  const decode = attempt(SchemaParser.decodeUnknownEffect(schema))
  return {
    encode: (value) => Result.flatMap(encode(value), sized),
    decode: (text) => Result.flatMap(sized(text), decode)
  }
}

const attempt = (step: (input: unknown) => Effect.Effect<unknown, unknown>) => (input: unknown) => {
  try {
    const exit = Effect.runSyncExit(step(input))
    return exit._tag === "Success" ? Result.succeed(exit.value) : wrongForm
  } catch {
    return wrongForm
  }
}
