/**
 * Looks into schemas: what is needed to encode with them, and a fingerprint of their form on the wire.
 */
import * as SchemaAST from "effect/SchemaAST"

/** What is directly within a node, apart from its encoding. */
export const inner = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> => {
  switch (ast._tag) {
    case "Declaration":
      return ast.typeParameters
    case "Arrays":
      return [...ast.elements, ...ast.rest]
    case "Objects":
      return [
        ...ast.propertySignatures.map(({ type }) => type),
        ...ast.indexSignatures.flatMap(({ parameter, type }) => [parameter, type])
      ]
    case "Union":
      return ast.types
    case "Suspend":
      return [ast.thunk()]
    default:
      return []
  }
}

const some = (root: SchemaAST.AST, test: (ast: SchemaAST.AST) => boolean): boolean => {
  const seen = new Set<SchemaAST.AST>()
  const visit = (ast: SchemaAST.AST): boolean => {
    if (seen.has(ast)) return false
    seen.add(ast)
    return test(ast) || inner(ast).some(visit)
  }
  return visit(root)
}

// `Schema.Class` marks its declarations with this annotation; effect exports no guard for it.
const constructorAnnotation = "~constructor"

/** Whether a sender may write something that is not yet a value: there is a class or a constructor default in it. */
export const isConstructed = (ast: SchemaAST.AST): boolean =>
  some(
    SchemaAST.toType(ast),
    (ast) => ast.context?.constructorDefault !== undefined || ast.annotations?.[constructorAnnotation] !== undefined
  )

const isAnyJson = (ast: SchemaAST.AST): boolean => {
  const representation = ast.annotations?.["representation"] as { readonly id?: unknown } | undefined
  return ast._tag === "Declaration" &&
    (representation?.id === "effect/schema/Json" || representation?.id === "effect/schema/MutableJson")
}

/** Whether encoded values can nest without an end that the schema sets. */
export const isUnbounded = (encoded: SchemaAST.AST): boolean =>
  some(encoded, (ast) => ast._tag === "Suspend" || isAnyJson(ast))

/** Why a JSON codec cannot encode all values of its schema, if so. */
export const mistake = (codec: SchemaAST.AST): string | undefined => {
  const seen = new Set<SchemaAST.AST>()
  const visit = (ast: SchemaAST.AST): string | undefined => {
    if (seen.has(ast)) return undefined
    seen.add(ast)
    if (ast._tag === "Any") return "Schema.Any has no JSON form, use Schema.Json"
    const end = ast.encoding?.at(-1)?.to
    if (ast._tag === "Declaration" && end !== undefined && isAnyJson(end) && !hasCodec(ast)) {
      return `${SchemaAST.resolveIdentifier(ast) ?? "a declared type"} has no JSON form, annotate it with toCodecJson`
    }
    for (const next of end !== undefined ? [end] : inner(ast)) {
      const found = visit(next)
      if (found !== undefined) return found
    }
    return undefined
  }
  return visit(codec)
}

const hasCodec = (ast: SchemaAST.AST): boolean =>
  typeof ast.annotations?.["toCodecJson"] === "function" || typeof ast.annotations?.["toCodec"] === "function"

/** The form of encoded values as text: types, names and optionality, neither checks nor the order of fields. */
export const describe = (encoded: SchemaAST.AST): string => {
  const path: Array<SchemaAST.AST> = []
  const visit = (ast: SchemaAST.AST): string => {
    const above = path.indexOf(ast)
    if (above !== -1) return `^${path.length - above}`
    path.push(ast)
    const text = write(ast)
    path.pop()
    return text
  }
  const optional = (ast: SchemaAST.AST): string => (SchemaAST.isOptional(ast) ? "?" : "") + visit(ast)
  const write = (ast: SchemaAST.AST): string => {
    switch (ast._tag) {
      case "Literal":
        return JSON.stringify(String(ast.literal)) + typeof ast.literal
      case "Enum":
        return `enum(${ast.enums.map(([, value]) => JSON.stringify(value)).join("|")})`
      case "Arrays":
        return `[${ast.elements.map(optional).join(",")};${ast.rest.map(visit).join(",")}]`
      case "Objects": {
        const fields = ast.propertySignatures.map(({ name, type }) => `${JSON.stringify(name)}:${optional(type)}`)
        const rest = ast.indexSignatures.map(({ parameter, type }) => `[${visit(parameter)}]:${visit(type)}`)
        return `{${fields.sort().join(",")};${rest.join(",")}}`
      }
      case "Union":
        return `(${ast.types.map(visit).join("|")})`
      case "Suspend":
        return visit(ast.thunk())
      case "Declaration":
        return SchemaAST.resolveIdentifier(ast) ?? ast._tag
      default:
        return ast._tag
    }
  }
  return visit(encoded)
}

const fnv1a = (text: string, basis: number): string => {
  let hash = basis
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return (hash >>> 0).toString(36).padStart(7, "0")
}

/** A short hash of a text, the same on every runtime: 14 characters of base 36. */
export const hash = (text: string): string => fnv1a(text, 0x811c9dc5) + fnv1a(text + "#", 0x01234567)
