import { misuse } from "../contract/misuse.ts"
import { memory } from "./harness.ts"

misuse(memory)
