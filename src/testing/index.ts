/**
 * What tests of an application on heddle need: the whole stack in one process, in virtual time.
 */
export * as MemoryTransport from "./MemoryTransport.ts"
export * as RoomTest from "./RoomTest.ts"
export * as SeededScheduler from "./SeededScheduler.ts"
export * as TestServer from "./TestServer.ts"
