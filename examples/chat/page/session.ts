/**
 * One visit of one room: the connection, the room, and what the page shows of both.
 */
import { RequestError } from "heddle/client"
import type { ConnectionState } from "heddle/client"
import { connect, type PromiseClient, type PromiseJoined, sessionStorage } from "heddle/client"
import { Chat, NameTaken, RoomFull, shownAtFirst } from "../contract.ts"
import * as Room from "./room.ts"

/** How the connection is; `retryAt` is a time of `Date.now()`. */
export type Connection =
  | { readonly is: "connecting"; readonly wasLost: boolean }
  | { readonly is: "online" }
  | { readonly is: "waiting"; readonly retryAt: number }
  | { readonly is: "stopped"; readonly code: number; readonly reason: string }

export interface View {
  readonly connection: Connection
  /** `returning`: it was in the room, which has not let it back in yet. */
  readonly phase: "joining" | "refused" | "in" | "returning"
  /** Why it is not in the room. */
  readonly problem: Problem | undefined
  readonly room: Room.Room
}

/** What went wrong, and which field of the door it is about. */
export interface Problem {
  readonly field: "name" | "room" | undefined
  readonly text: string
}

const typingMillis = { every: 2_000, shown: 3_500 }
const returnMillis = 3_000

const wait = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

const problemOf = (error: unknown, me: string, name: string): Problem => {
  if (error instanceof NameTaken) {
    return { field: "name", text: `Somebody in ${name} is called ${me} already. Choose another name.` }
  }
  if (error instanceof RoomFull) {
    return { field: "room", text: `${name} is full: ${error.limit} people are there. Try another room.` }
  }
  if (isReason(error, "ClientClosed")) return { field: undefined, text: "The server has closed the connection." }
  return { field: undefined, text: `${name} could not be joined: ${messageOf(error)}.` }
}

const whyNotBack = (error: unknown, me: string, name: string): Problem =>
  error instanceof NameTaken
    ? { field: "name", text: `Somebody is called ${me} there, perhaps your own lost connection.` }
    : problemOf(error, me, name)

const isReason = (error: unknown, ...tags: ReadonlyArray<RequestError["reason"]["_tag"]>): boolean =>
  error instanceof RequestError && tags.includes(error.reason._tag)

/** Nothing ran, and it may be said once the room is joined again. */
const wasNeverSent = (error: unknown): boolean => isReason(error, "NotJoined", "ClientClosed")

const whyNotSaid = (error: unknown): string =>
  isReason(error, "ConnectionLost")
    ? "The connection was lost before the answer: this may not have arrived."
    : `Not sent: ${messageOf(error)}.`

export class Session {
  view: View
  private readonly url: string
  private readonly onChange: (view: View) => void
  private client: PromiseClient | undefined
  private joined: PromiseJoined<typeof Chat> | undefined
  private readonly typingTimers = new Map<string, ReturnType<typeof setTimeout>>()
  /** Drafts whose request has no answer yet. */
  private readonly sending = new Set<number>()
  private typedAt = 0
  private isOver = false

  constructor(url: string, room: string, me: string, onChange: (view: View) => void) {
    this.url = url
    this.onChange = onChange
    this.view = {
      connection: { is: "connecting", wasLost: false },
      phase: "joining",
      problem: undefined,
      room: Room.empty(room, me)
    }
    this.connect()
  }

  // ------------------------------------------------------------- what the user does

  say(text: string): void {
    this.setRoom(Room.draft(this.view.room, text))
    this.typedAt = 0
    this.sendDrafts()
  }

  sayAgain(id: number): void {
    const found = this.view.room.drafts.find((draft) => draft.id === id)
    if (found === undefined) return
    this.setRoom(Room.withoutDraft(this.view.room, id))
    this.say(found.text)
  }

  discard(id: number): void {
    this.setRoom(Room.withoutDraft(this.view.room, id))
  }

  /** Tells the others, now and then: a typing that is late is of no use. */
  typing(): void {
    const now = Date.now()
    if (this.view.connection.is !== "online" || now - this.typedAt < typingMillis.every) return
    this.typedAt = now
    this.joined?.Typing()
  }

  /** Connects now, also if the server has ended the connection for good; what waits to be sent goes with it. */
  reconnect(): void {
    if (this.view.connection.is !== "stopped") return this.client?.reconnect()
    this.set({ connection: { is: "connecting", wasLost: true } })
    this.connect()
  }

  close(): void {
    this.isOver = true
    void this.client?.close()
    for (const timer of this.typingTimers.values()) clearTimeout(timer)
  }

  // ------------------------------------------------------------- the connection

  private connect(): void {
    // A page that is loaded again has its place in the room again, and nobody saw it leave.
    const client = connect({ url: this.url, reconnect: { max: "10 seconds" }, session: sessionStorage() })
    this.client = client
    client.state.subscribe((state) => {
      if (this.isCurrent(client)) this.set({ connection: this.connectionOf(state) })
    })
    void this.visit(client)
  }

  private connectionOf(state: ConnectionState): Connection {
    const { connection } = this.view
    switch (state._tag) {
      case "connecting":
        return { is: "connecting", wasLost: connection.is === "connecting" ? connection.wasLost : true }
      case "online":
        return { is: "online" }
      case "waiting":
        return { is: "waiting", retryAt: Date.now() + state.retryIn }
      case "stopped":
        return { is: "stopped", code: state.code, reason: state.reason }
    }
  }

  private isCurrent(client: PromiseClient): boolean {
    return this.client === client && !this.isOver
  }

  /** Joins, stays until the room ends, and comes back if it can. */
  private async visit(client: PromiseClient): Promise<void> {
    const { me, name } = this.view.room
    while (this.isCurrent(client)) {
      try {
        const joined = await client.join(Chat, name, { name: me }, { last: shownAtFirst })
        await this.stay(client, joined)
      } catch (error) {
        if (!this.isCurrent(client)) return
        if (this.view.phase === "joining") {
          this.close()
          return this.set({ phase: "refused", problem: problemOf(error, me, name) })
        }
        this.joined = undefined
        if (isReason(error, "ClientClosed")) return
        this.set({ phase: "returning", problem: whyNotBack(error, me, name) })
        await wait(returnMillis)
      }
    }
  }

  /** Ends with the error with which the room does. */
  private async stay(client: PromiseClient, joined: PromiseJoined<typeof Chat>): Promise<void> {
    this.joined = joined
    const forgetPresence = joined.presence.subscribe((members) => {
      if (this.joined !== joined) return
      this.setRoom(Room.withMembers(this.view.room, [...members.values()].map(({ name }) => name)))
    })
    try {
      for await (const event of joined.events) {
        if (!this.isCurrent(client)) return
        this.setRoom(this.after(event))
        if (this.view.phase !== "in") this.set({ phase: "in", problem: undefined })
        this.sendDrafts()
      }
    } finally {
      forgetPresence()
    }
  }

  private after(event: ChatEvent): Room.Room {
    const { room } = this.view
    switch (event._tag) {
      case "synced":
        return event.reason === "restarted" ? room : Room.synced(room)
      case "Said":
        return Room.said(room, event.payload, event.offset)
      case "Joined":
        return event.payload.name === room.me ? room : Room.note(room, `${event.payload.name} joined`, event.offset)
      case "Left":
        return event.payload.name === room.me ? room : Room.note(room, `${event.payload.name} left`, event.offset)
      case "Typing":
        this.forgetTyping(event.payload.from)
        return Room.typing(room, event.payload.from)
    }
  }

  private forgetTyping(name: string): void {
    clearTimeout(this.typingTimers.get(name))
    const forget = () => this.setRoom(Room.stoppedTyping(this.view.room, name))
    this.typingTimers.set(name, setTimeout(forget, typingMillis.shown))
  }

  /** Sends what waits; without a room it goes on waiting. */
  private sendDrafts(): void {
    const { joined } = this
    if (joined === undefined) return
    for (const { id, problem, text } of this.view.room.drafts) {
      if (problem === undefined && !this.sending.has(id)) void this.send(joined, id, text)
    }
  }

  private async send(joined: PromiseJoined<typeof Chat>, id: number, text: string): Promise<void> {
    this.sending.add(id)
    try {
      await joined.Say({ text })
      this.setRoom(Room.withoutDraft(this.view.room, id))
    } catch (error) {
      if (!wasNeverSent(error)) this.setRoom(Room.withProblem(this.view.room, id, whyNotSaid(error)))
    } finally {
      this.sending.delete(id)
    }
    if (this.joined !== joined) this.sendDrafts()
  }

  private setRoom(room: Room.Room): void {
    if (room !== this.view.room) this.set({ room })
  }

  private set(change: Partial<View>): void {
    this.view = { ...this.view, ...change }
    this.onChange(this.view)
  }
}

type ChatEvent = PromiseJoined<typeof Chat>["events"] extends AsyncIterable<infer E> ? E : never
