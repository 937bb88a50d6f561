import { badInput } from "../contract/badInput.ts"
import { memory } from "./harness.ts"

badInput(memory)
