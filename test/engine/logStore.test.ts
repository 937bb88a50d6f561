import { MemoryLogs } from "../../src/engine/Log.ts"
import { logStoreContract } from "./logStore.ts"

logStoreContract("memory", ({ maxBytes }) => ({
  store: new MemoryLogs(maxBytes),
  again: undefined,
  close: () => {}
}))
