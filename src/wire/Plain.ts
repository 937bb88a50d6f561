/**
 * The values of plain schemas: structs and arrays of scalars, with whatever checks they have.
 *
 * For those the form on the wire is the value itself, and effect's parser gives a copy with no more than the known keys.
 * Here the same costs less than a third. What is decoded was just read by a codec, and is nobody else's: where it fits, it
 * is its own copy. Whatever does not fit, or fits in a way that takes thought, is `misfit` and left to the parser, so
 * that there is one place that says what is wrong with a value.
 */
import * as SchemaAST from "effect/SchemaAST"

export const misfit: unique symbol = Symbol("misfit")

/** Gives a copy, or what is decoded itself, or `misfit`. Throws what a check or a getter throws. */
export type Copy = (input: unknown) => unknown

/**
 * The copy for a schema's codec, of either direction; undefined where it is not plain.
 *
 * The parser's checks see what it read when it encodes, and what it made of that when it decodes.
 */
export const compile = (ast: SchemaAST.AST, encodes: boolean): Copy | undefined => {
  // Only a flipped schema has checks on its encoded side; effect's types do not show them.
  if (ast.encoding !== undefined || (ast as { readonly encodingChecks?: unknown }).encodingChecks !== undefined) {
    return undefined
  }
  const copy = unchecked(ast, encodes)
  return copy === undefined || ast.checks === undefined ? copy : withChecks(copy, ast, ast.checks, encodes)
}

const unchecked = (ast: SchemaAST.AST, encodes: boolean): Copy | undefined => {
  switch (ast._tag) {
    case "String":
      return string
    case "Number":
      return number
    case "Boolean":
      return boolean
    case "Null":
      return literal(null)
    case "Literal":
      return literal(ast.literal)
    case "Union":
      return union(ast, encodes)
    case "Arrays":
      return array(ast, encodes)
    case "Objects":
      return struct(ast, encodes)
    default:
      return undefined
  }
}

const string: Copy = (input) => typeof input === "string" ? input : misfit
const number: Copy = (input) => typeof input === "number" ? input : misfit
const boolean: Copy = (input) => typeof input === "boolean" ? input : misfit
const literal = (value: unknown): Copy => (input) => input === value ? input : misfit

/** As the parser has them where nobody sets any. */
const parseOptions: SchemaAST.ParseOptions = {}

type Checks = ReadonlyArray<SchemaAST.Check<any>>

const passes = (checks: Checks, value: unknown, ast: SchemaAST.AST): boolean => {
  for (const check of checks) {
    const passed = check._tag === "FilterGroup"
      ? passes(check.checks, value, ast)
      : check.run(value, ast, parseOptions) === undefined
    if (!passed) return false
  }
  return true
}

const withChecks = (copy: Copy, ast: SchemaAST.AST, checks: Checks, encodes: boolean): Copy => (input) => {
  const output = copy(input)
  return output !== misfit && passes(checks, encodes ? input : output, ast) ? output : misfit
}

const all = (asts: ReadonlyArray<SchemaAST.AST>, encodes: boolean): ReadonlyArray<Copy> | undefined => {
  const copies = asts.flatMap((ast) => compile(ast, encodes) ?? [])
  return copies.length === asts.length ? copies : undefined
}

const isScalar = ({ _tag }: SchemaAST.AST): boolean => _tag !== "Objects" && _tag !== "Arrays" && _tag !== "Union"

/** Of scalars only: of two structs that fit it is not for this file to say which one is meant. */
const union = ({ options, types }: SchemaAST.Union, encodes: boolean): Copy | undefined => {
  const copies = options?.mode === "oneOf" || !types.every(isScalar) ? undefined : all(types, encodes)
  return copies && ((input) => {
    for (const copy of copies) if (copy(input) !== misfit) return input
    return misfit
  })
}

const array = ({ elements, rest }: SchemaAST.Arrays, encodes: boolean): Copy | undefined => {
  const copy = elements.length === 0 && rest.length === 1 ? compile(rest[0]!, encodes) : undefined
  return copy && ((input) => {
    if (!Array.isArray(input)) return misfit
    const output: Array<unknown> = encodes ? [] : input
    for (let index = 0; index < input.length; index++) {
      const value = copy(input[index])
      if (value === misfit) return misfit
      if (encodes) output.push(value)
    }
    return output
  })
}

const struct = ({ indexSignatures, propertySignatures }: SchemaAST.Objects, encodes: boolean): Copy | undefined => {
  const names = propertySignatures.map(({ name }) => name)
  // An assignment to `__proto__` makes no key.
  if (names.length === 0 || indexSignatures.length > 0 || !names.every(isPlainName)) return undefined
  const copies = all(propertySignatures.map(({ type }) => type), encodes)
  /** Whether the value at a place is a copy too. */
  const nests = propertySignatures.map(({ type }) => encodes && !isScalar(type))
  const optional = propertySignatures.map(({ type }) => SchemaAST.isOptional(type))
  /** The place of a name from `at` on, past optional keys that are absent; -1 where another stands in between. */
  const find = (name: string | undefined, at: number, input: object): number => {
    while (name !== names[at]) {
      if (optional[at] !== true || (names[at] as string) in input) return -1
      at++
    }
    return at
  }
  return copies && ((input) => {
    if (typeof input !== "object" || input === null || Array.isArray(input)) return misfit
    const output = (encodes ? { ...input } : input) as Record<string, unknown>
    let at = 0
    // Within such a loop engines read by the place of a key, without a search for its name.
    for (const name in output) {
      if (name !== names[at] && (at = find(name, at, input)) === -1) return misfit
      const value = copies[at]!(output[name])
      if (value === misfit) return misfit
      if (nests[at]) output[name] = value
      at++
    }
    return at === names.length || find(undefined, at, input) !== -1 ? output : misfit
  })
}

const isPlainName = (name: PropertyKey): boolean => typeof name === "string" && name !== "__proto__"
