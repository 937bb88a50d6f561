/**
 * The handlers of a room's events, which are called in the order of the events.
 */
import * as Room from "../contract/Definition.ts"
import { call } from "./PromiseRun.ts"
import type { Element } from "./RoomReader.ts"

type F = (value: any, event: any) => unknown

interface Handler {
  readonly name: string
  readonly f: F
  isOff: boolean
}

export interface Options {
  readonly contract: Room.Any
  /** How many events are kept for handlers that are added later. */
  readonly capacity: number
  /** Asks for a fresh snapshot, which arrives as `synced`. */
  readonly renew: () => void
}

/**
 * Calls handlers from one reader, and keeps what a later handler of `synced` has to be told.
 *
 * Handlers that are added in one turn begin together: with the newest `synced` and everything since if they are the
 * first of the room or one of them handles `synced`, else with what happens next.
 */
export class PromiseEvents {
  private readonly options: Options
  private readonly definition: Room.Definition
  private handlers: Array<Handler> = []
  /** Not called yet. */
  private added: Array<Handler> = []
  /** The newest `synced` and the reliable events since; undefined when those are more than are kept. */
  private log: Array<Element> | undefined
  private isFirst = true
  private isRenewing = false
  private isOver = false

  constructor(options: Options) {
    this.options = options
    this.definition = options.contract[Room.TypeId]
  }

  readonly on = (name: string, f: F): () => void => {
    if (name !== "synced" && !Object.hasOwn(this.definition.events ?? {}, name)) {
      throw new TypeError(`heddle: the room "${this.options.contract.roomName}" has no event "${name}"`)
    }
    const handler: Handler = { name, f, isOff: false }
    if (this.added.length === 0) queueMicrotask(() => this.begin())
    this.added.push(handler)
    return () => {
      handler.isOff = true
      const isOn = (other: Handler) => other !== handler
      this.handlers = this.handlers.filter(isOn)
      this.added = this.added.filter(isOn)
    }
  }

  /** The next element of the stream of events. */
  readonly push = (element: Element): void => {
    if (element._tag === "synced") {
      this.log = [element]
      this.isRenewing = false
      this.deliver(this.handlers, element)
      return this.begin()
    }
    this.begin()
    this.keep(element)
    this.deliver(this.handlers, element)
  }

  /** No handler is called any more. */
  stop(): void {
    this.isOver = true
    this.handlers = []
    this.added = []
    this.log = undefined
  }

  private keep(element: Element): void {
    if (this.log === undefined || this.isVolatile(element._tag)) return
    this.log.push(element)
    if (this.log.length <= this.options.capacity) return
    // Without a snapshot there is no state that a handler could be behind of.
    this.log = this.definition.snapshot === undefined ? [this.log[0]!] : undefined
  }

  private isVolatile(name: string): boolean {
    const event = this.definition.events![name]!
    return "~heddle/Volatile" in event
  }

  private begin(): void {
    if (this.added.length === 0 || this.isOver) return
    const isWhole = this.isFirst || this.added.some(({ name }) => name === "synced")
    if (isWhole && this.log === undefined) return this.renew()
    const added = this.added
    this.added = []
    this.isFirst = false
    if (isWhole) this.log!.forEach((element, i) => this.deliver(added, i === 0 ? joined(element) : element))
    if (!this.isOver) this.handlers = [...this.handlers, ...added.filter(({ isOff }) => !isOff)]
  }

  private deliver(handlers: ReadonlyArray<Handler>, element: Element): void {
    for (const handler of handlers) {
      // A handler may take others off, or leave.
      if (this.isOver || handler.isOff || handler.name !== element._tag) continue
      call(handler.f, "payload" in element ? element.payload : element, element)
    }
  }

  private renew(): void {
    if (this.isRenewing) return
    this.isRenewing = true
    this.options.renew()
  }
}

/** The first `synced` of a handler is how it joined, whatever it was to those who were there before. */
const joined = (element: Element): Element =>
  element._tag === "synced" ? { ...element, reason: "joined" } as Element : element
