import { MemoryLogs } from "../../src/engine/Log.ts"
import { DurableLogs } from "./durableLogs.ts"
import { logStoreContract, type Stored } from "./logStore.ts"

logStoreContract("memory", ({ maxBytes }) => ({
  store: new MemoryLogs(maxBytes),
  again: undefined,
  close: () => {}
}))

const stored = (store: DurableLogs): Stored => ({ store, again: () => stored(store.again()), close: () => {} })

logStoreContract("the store of tests", ({ maxBytes }) => stored(new DurableLogs(maxBytes)))
