/**
 * What a page needs, in one file: the client, contracts, and the schemas to write them with.
 *
 * The package has it as a ready bundle for `<script type="module">`, without a build step:
 *
 * ```ts
 * import { Client, Room, Schema } from "./node_modules/heddle/browser/heddle.js"
 * ```
 *
 * An application with a bundler imports `heddle/client` and effect instead, and loads less.
 *
 * @since 0.1.0
 */
export * as Schema from "./browserSchema.ts"
export * as Client from "./client/index.ts"
export * as RequestError from "./contract/RequestError.ts"
export * as Room from "./contract/Room.ts"
export * as Topic from "./contract/Topic.ts"
