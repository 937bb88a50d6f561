/**
 * How a process of the runtime that runs this file drains.
 */
import { drainContract } from "../contract/drainProcess.ts"

const runtime = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node"

drainContract(runtime, runtime === "deno" ? ["run", "-A"] : [])
