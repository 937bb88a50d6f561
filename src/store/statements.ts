/**
 * Statements of SQLite, prepared once and known by their names.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"

/** Prepares each of them. Throws where one does not fit the tables. */
export const prepare = <Name extends string>(
  database: DatabaseSync,
  statements: { readonly [name in Name]: string }
): { readonly [name in Name]: StatementSync } => {
  const prepared = Object.entries<string>(statements).map(([name, sql]) => [name, database.prepare(sql)])
  return Object.fromEntries(prepared) as { readonly [name in Name]: StatementSync }
}
