/**
 * A room as the page shows it, and how each thing that happens changes it. Knows neither network nor DOM.
 */

/** What somebody said. */
export interface Line {
  readonly from: string
  readonly text: string
  readonly at: Date
}

/** What stands in the log: a line, or a note about who came and went and what may be missing. */
export type Entry =
  & {
    readonly id: number
    /** The place in the room's order of what it tells; undefined for what the page itself says. */
    readonly offset: number | undefined
  }
  & ({ readonly kind: "line"; readonly line: Line } | { readonly kind: "note"; readonly text: string })

/** What this member says and nobody has seen yet. */
export interface Draft {
  readonly id: number
  readonly text: string
  /** Set when it will not arrive by itself: why. */
  readonly problem: string | undefined
}

export interface Room {
  readonly name: string
  /** This member. */
  readonly me: string
  readonly entries: ReadonlyArray<Entry>
  readonly drafts: ReadonlyArray<Draft>
  readonly members: ReadonlyArray<string>
  /** Who writes at this moment. */
  readonly typing: ReadonlyArray<string>
  /** Grows with every entry and draft, and is the id of the next. */
  readonly nextId: number
}

export const empty = (name: string, me: string): Room => ({
  name,
  me,
  entries: [],
  drafts: [],
  members: [],
  typing: [],
  nextId: 1
})

/** As many entries stay on the page. */
const maxEntries = 1_000

type NewEntry = Entry extends infer E ? E extends Entry ? Omit<E, "id"> : never : never

const add = (room: Room, ...entries: ReadonlyArray<NewEntry>): Room => ({
  ...room,
  entries: [...room.entries, ...entries.map((entry, index) => ({ ...entry, id: room.nextId + index }) as Entry)]
    .slice(-maxEntries),
  nextId: room.nextId + entries.length
})

export const note = (room: Room, text: string, offset?: number): Room =>
  isShown(room, offset, (entry) => entry.kind === "note" && entry.text === text)
    ? room
    : add(room, { kind: "note", text, offset })

/** Who comes back is told again what it knows; another server counts from 1 again, but tells something else. */
const isShown = ({ entries }: Room, offset: number | undefined, isSame: (entry: Entry) => boolean): boolean =>
  offset !== undefined && entries.some((entry) => entry.offset === offset && isSame(entry))

/** What the room has kept follows: from the beginning, or again after events were missed. */
export const synced = (room: Room): Room =>
  room.entries.length === 0 ? room : note(room, "Connected again. Messages may be missing here.")

const isLine = ({ at, from, text }: Line) => (entry: Entry): boolean =>
  entry.kind === "line" && entry.line.from === from && entry.line.text === text &&
  entry.line.at.getTime() === at.getTime()

export const said = (room: Room, line: Line, offset: number | undefined): Room => {
  const { drafts, entries } = room
  if (isShown(room, offset, isLine(line))) return room
  const draft = line.from === room.me ? drafts.find(({ text }) => text === line.text) : undefined
  if (draft === undefined) return stoppedTyping(add(room, { kind: "line", line, offset }), line.from)
  // What was a draft becomes a line, and stays the same thing on the page.
  const entry: Entry = { id: draft.id, offset, kind: "line", line }
  return { ...withoutDraft(room, draft.id), entries: [...entries, entry].slice(-maxEntries) }
}

export const draft = (room: Room, text: string): Room => ({
  ...room,
  drafts: [...room.drafts, { id: room.nextId, text, problem: undefined }],
  nextId: room.nextId + 1
})

export const withProblem = (room: Room, id: number, problem: string | undefined): Room => ({
  ...room,
  drafts: room.drafts.map((draft) => draft.id === id ? { ...draft, problem } : draft)
})

export const withoutDraft = (room: Room, id: number): Room => ({
  ...room,
  drafts: room.drafts.filter((draft) => draft.id !== id)
})

export const typing = (room: Room, name: string): Room =>
  room.typing.includes(name) ? room : { ...room, typing: [...room.typing, name] }

export const stoppedTyping = (room: Room, name: string): Room =>
  room.typing.includes(name) ? { ...room, typing: room.typing.filter((other) => other !== name) } : room

export const withMembers = (room: Room, names: Iterable<string>): Room => {
  const members = [...names].toSorted((a, b) => a.localeCompare(b))
  return { ...room, members, typing: room.typing.filter((name) => members.includes(name)) }
}
