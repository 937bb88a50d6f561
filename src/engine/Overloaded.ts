/**
 * The answer to what is one too many.
 */
import * as RequestError from "../contract/RequestError.ts"

/** Made once: an error takes note of where it was made, and in a flood the server would do little else. */
export const overloaded = new RequestError.Overloaded({ retryAfter: 1_000 })
