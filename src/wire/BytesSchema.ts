/**
 * Schemas whose bytes stay bytes on the wire.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Codec } from "../contract/Definition.ts"
import { copy, fromBase64 } from "./Bytes.ts"
import * as Structure from "./Structure.ts"

/** What stands for bytes on the wire: base64 text, or bytes. */
const OnWire = Schema.declare(
  (value): value is string | Uint8Array => typeof value === "string" || value instanceof Uint8Array,
  { identifier: "Bytes", toCodecJson: () => undefined }
)

const link = Schema.link<Uint8Array>()(OnWire, {
  decode: SchemaGetter.transformEffect((wire, options) => {
    const bytes = typeof wire === "string"
      ? fromBase64(wire)
      : new Uint8Array(wire.buffer, wire.byteOffset, wire.byteLength)
    return bytes === undefined
      ? Effect.fail(new SchemaIssue.InvalidValue({ expected: "base64 text" }, wire, options))
      : Effect.succeed(bytes)
  }),
  encode: SchemaGetter.transform(copy)
})

const isBytes = (ast: SchemaAST.AST): boolean =>
  (ast.annotations?.["representation"] as { readonly id?: unknown } | undefined)?.id === "effect/schema/Uint8Array"

/** Where the JSON codec of a node comes from: what it is encoded to, or else what is within it. */
const sources = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> =>
  ast.encoding === undefined ? Structure.inner(ast) : [ast.encoding.at(-1)!.to]

const hasBytes = (root: SchemaAST.AST): boolean => {
  const seen = new Set<SchemaAST.AST>()
  const visit = (ast: SchemaAST.AST): boolean => {
    if (seen.has(ast)) return false
    seen.add(ast)
    return (ast.encoding === undefined && isBytes(ast)) || sources(ast).some(visit)
  }
  return visit(root)
}

const changed = <A extends object>(ast: A, changes: Partial<A>): A =>
  Object.assign(Object.create(Object.getPrototypeOf(ast)), ast, changes) as A

/** Gives every `Schema.Uint8Array` the codec of this file; once per node, so that recursive schemas stay finite. */
const mark = (root: SchemaAST.AST): SchemaAST.AST => {
  const done = new Map<SchemaAST.AST, SchemaAST.AST>()
  const visit = <A extends SchemaAST.AST>(ast: A): A => {
    let out = done.get(ast)
    if (out === undefined) done.set(ast, out = rebuild(ast))
    return out as A
  }
  const rebuild = (ast: SchemaAST.AST): SchemaAST.AST => {
    if (ast.encoding !== undefined) {
      const { to, transformation } = ast.encoding.at(-1)!
      const encoding = [...ast.encoding.slice(0, -1), new SchemaAST.Link(visit(to), transformation)] as const
      return changed(ast, { encoding: encoding as unknown as SchemaAST.Encoding })
    }
    switch (ast._tag) {
      case "Declaration":
        return isBytes(ast)
          ? changed(ast, { annotations: { ...ast.annotations, toCodecJson: () => link } })
          : changed(ast, { typeParameters: ast.typeParameters.map(visit) })
      case "Arrays":
        return changed(ast, { elements: ast.elements.map(visit), rest: ast.rest.map(visit) })
      case "Objects":
        return changed(ast, {
          propertySignatures: ast.propertySignatures.map(({ name, type }) =>
            new SchemaAST.PropertySignature(name, visit(type))
          ),
          indexSignatures: ast.indexSignatures.map((signature) => changed(signature, { type: visit(signature.type) }))
        })
      case "Union":
        return changed(ast, { types: ast.types.map(visit) })
      case "Suspend":
        return changed(ast, { thunk: () => visit(ast.thunk()) })
      default:
        return ast
    }
  }
  return visit(root)
}

/** `Schema.toCodecJson`, but bytes are encoded to `Bytes` and decoded from them or from base64 text. */
export const toCodec = (schema: Codec): Codec =>
  Schema.toCodecJson(hasBytes(schema.ast) ? Schema.make<Codec>(mark(schema.ast)) : schema)
