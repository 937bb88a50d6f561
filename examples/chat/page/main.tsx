/**
 * The chat's page: the door, and behind it a room.
 */
import { render } from "preact"
import { App } from "./App.tsx"

render(<App />, document.body)
