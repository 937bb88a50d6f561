/**
 * The client: with Effect as {@link make}, with promises and callbacks as {@link connect}.
 */
export * from "./Client.ts"
export { connect } from "./PromiseClient.ts"
export type {
  CallOptions,
  ConnectOptions,
  PromiseClient,
  PromiseJoined,
  PromiseJoinedRoom,
  PromiseMethods,
  PromiseOn,
  PromiseSubscribe,
  Watchable
} from "./PromiseClient.ts"
