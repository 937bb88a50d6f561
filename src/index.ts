/**
 * heddle: an actor-based realtime engine on Effect.
 */
export * as Actor from "./actor/Actor.ts"
export * as Dispatcher from "./actor/Dispatcher.ts"
export * as Supervisor from "./actor/Supervisor.ts"
export * as Client from "./client/index.ts"
export * as CloseCode from "./contract/CloseCode.ts"
export * as Identity from "./contract/Identity.ts"
export * as RequestError from "./contract/RequestError.ts"
export * as Room from "./contract/Room.ts"
export * as Topic from "./contract/Topic.ts"
export * as Endpoint from "./engine/Endpoint.ts"
export * as Engine from "./engine/Engine.ts"
export * as Limits from "./engine/Limits.ts"
export * as Transport from "./engine/Transport.ts"
