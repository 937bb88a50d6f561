/**
 * What clients do to a room under test: generated from its contract, and told in words.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Formatter from "effect/Formatter"
import * as Schema from "effect/Schema"
import * as Definition from "../contract/Definition.ts"

/** One thing that happens. Without `waits`, the next happens at once, while this is still under way. */
export type Command = { readonly waits: boolean } & Action

/**
 * What can happen. `client` counts among those that can do it, and begins again at the end: who may join are those
 * outside, who may do anything else are those within. If there is none, nothing happens.
 */
export type Action =
  | { readonly _tag: "Join"; readonly client: number; readonly payload: unknown }
  | { readonly _tag: "Send"; readonly client: number; readonly name: string; readonly payload: unknown }
  | { readonly _tag: "Leave" | "Drop"; readonly client: number }
  | { readonly _tag: "Pass"; readonly millis: number }
  | { readonly _tag: "Crash" }

/** What happens beside what is in the contract. */
export type Fault = "drop" | "crash"

/** Generators of payloads, by the name of the request or notice, or `join`. */
export type Payloads = { readonly [name: string]: Arbitrary.Arbitrary<unknown> | undefined }

/** The name of a client in words: A, B, C. */
export const nameOf = (client: number): string => String.fromCharCode(65 + client % 26) + "'".repeat(client / 26)

const below = (bound: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: bound - 1 }))

/** A choice that stays as it is when a failure is shrunk. */
const fixed = (bound: number) => Arbitrary.schema(below(bound), { shrink: () => [] })

/** The first is the simplest: what a failure is shrunk to. */
const durations = [10, 100, 1_000, 10_000, 90_000]

const generator = (definition: Definition.SchemaOrFields | undefined): Arbitrary.Arbitrary<unknown> => {
  if (definition === undefined) return Arbitrary.Constant(undefined)
  if (Schema.isSchema(definition)) return Arbitrary.schema(definition)
  return Object.keys(definition).length === 0
    ? Arbitrary.Constant(undefined)
    : Arbitrary.schema(Schema.Struct(definition as Record<string, Definition.Codec>))
}

/** One life of a room: a seed for its order, and what happens. */
export interface Life {
  readonly order: number
  readonly commands: ReadonlyArray<Command>
}

/** Generates lives of a room out of its contract. */
export const arbitrary = (
  room: Definition.Any,
  options: {
    readonly clients: number
    readonly commands: number
    readonly faults: ReadonlyArray<Fault>
    readonly payloads: Payloads
  }
): Arbitrary.Arbitrary<Life> => {
  const definition = room[Definition.TypeId]
  const client = Arbitrary.schema(below(options.clients))
  const waits = Arbitrary.map(Arbitrary.schema(below(2)), (choice) => choice === 0)
  const choices: Array<Arbitrary.Arbitrary<Action>> = []
  const add = (weight: number, choice: Arbitrary.Arbitrary<Action>) => {
    for (let count = 0; count < weight; count++) choices.push(choice)
  }
  const messages = new Map<string, Definition.SchemaOrFields | undefined>([
    ...Object.entries(definition.requests ?? {}).map(([name, { payload }]) => [name, payload] as const),
    ...Object.entries(definition.notices ?? {})
  ])
  // As many joins as half of what is said, so that somebody is there to say it.
  const share = Math.max(1, Math.ceil(6 / Math.max(1, messages.size)))
  const payload = options.payloads["join"] ?? generator(definition.join?.payload)
  add(
    Math.ceil(share * messages.size / 2) + 1,
    Arbitrary.map(Arbitrary.all({ client, payload }), (rest) => ({ _tag: "Join", ...rest }))
  )
  for (const [name, definition] of messages) {
    const payload = options.payloads[name] ?? generator(definition)
    add(share, Arbitrary.map(Arbitrary.all({ client, payload }), (rest) => ({ _tag: "Send", name, ...rest })))
  }
  add(2, Arbitrary.map(client, (client) => ({ _tag: "Leave", client })))
  add(1, Arbitrary.map(Arbitrary.schema(below(durations.length)), (at) => ({ _tag: "Pass", millis: durations[at]! })))
  if (options.faults.includes("drop")) add(2, Arbitrary.map(client, (client) => ({ _tag: "Drop", client })))
  if (options.faults.includes("crash")) add(1, Arbitrary.Constant({ _tag: "Crash" }))
  const action = Arbitrary.flatMap(fixed(choices.length), (choice) => choices[choice]!)
  const command = Arbitrary.map(
    Arbitrary.all({ action, waits }),
    ({ action, waits }): Command => ({ ...action, waits })
  )
  return Arbitrary.all({
    order: fixed(2 ** 31),
    commands: Arbitrary.array(command, { minLength: 1, maxLength: options.commands })
  })
}

const withPayload = (text: string, payload: unknown) =>
  payload === undefined ? text : `${text} ${Formatter.format(payload)}`

/** A command of a client, or of nobody, in words. */
export const format = (command: Command, name: string): string => {
  const text = inWords(command, name)
  return command.waits || command._tag === "Pass" ? text : `${text}, and at once:`
}

const inWords = (action: Action, name: string): string => {
  switch (action._tag) {
    case "Join":
      return withPayload(`${name} joins`, action.payload)
    case "Send":
      return withPayload(`${name} sends ${action.name}`, action.payload)
    case "Leave":
      return `${name} leaves`
    case "Drop":
      return `${name} loses its connection`
    case "Pass":
      return `${action.millis} ms pass`
    case "Crash":
      return "the room crashes"
  }
}
