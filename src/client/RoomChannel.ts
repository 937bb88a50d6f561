/**
 * One room that a client is in: position, presence, and the feed of its events.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as SubscriptionRef from "effect/SubscriptionRef"
import type { SyncReason } from "../contract/Definition.ts"
import * as RequestError from "../contract/RequestError.ts"
import type * as Contract from "../wire/Contract.ts"
import type * as Frame from "../wire/Frame.ts"
import type { Answer, Delivery, Owner } from "./Channel.ts"
import { FedChannel } from "./FedChannel.ts"
import type { Page } from "./History.ts"
import type { Element } from "./RoomReader.ts"
import { RoomReader } from "./RoomReader.ts"
import * as Watched from "./Watched.ts"

type Presence = ReadonlyMap<string, unknown>

const reasonOf = (text: string): SyncReason => text === "joined" || text === "restarted" ? text : "gap"

export class RoomChannel extends FedChannel<Element> {
  readonly leaveTag = "leave"
  memberId = ""
  readonly contract: Contract.CompiledRoom
  readonly presence: SubscriptionRef.SubscriptionRef<Presence>
  private readonly payload: Frame.Json
  private readonly last: number | null
  /** A fresh snapshot is wanted, whatever could be continued. */
  private isStale = false
  /** The index of the newest `synced` in the feed; -1 before the first. */
  private lastSynced = -1
  private nextPresence: Map<string, unknown> | undefined
  private readonly joining = Deferred.makeUnsafe<void, unknown>()
  /** The first join was answered; what follows is for readers. */
  private isSettled = false

  constructor(
    owner: Owner,
    contract: Contract.CompiledRoom,
    key: string,
    payload: Frame.Json,
    last: number,
    presence: SubscriptionRef.SubscriptionRef<Presence>,
    eventBuffer: number
  ) {
    super(owner, `room ${contract.name}/${key}`, key, eventBuffer)
    this.contract = contract
    this.payload = payload
    // What comes at once must not drive out the snapshot that is to be read before it.
    this.last = last >= 1 ? Math.floor(Math.min(last, eventBuffer / 2)) : null
    this.presence = presence
  }

  // ------------------------------------------------------------- joining

  /** Waits for the answer to the first join. */
  readonly joined: Effect.Effect<void, unknown> = Deferred.await(this.joining)

  readonly askFrame = (ref: number): Frame.ClientFrames["join"] => ({
    _tag: "join",
    ref,
    room: this.contract.name,
    key: this.key,
    payload: this.payload,
    position: this.isStale ? null : this.position,
    // Who was too slow for what came must not get more of it.
    last: this.isStale ? null : this.last
  })

  readonly answered = (frame: Answer): void => {
    switch (frame._tag) {
      case "joined":
        return this.onJoined(frame)
      case "failed":
        return this.refused(frame.error)
      case "error":
        return this.failed(RequestError.decode(frame.error))
      default:
        return
    }
  }

  private onJoined(frame: Frame.ServerFrames["joined"]): void {
    this.memberId = frame.memberId
    this.resetPresence()
    this.position = frame.position
    // Events follow from where it was: the snapshot, which is of this moment, is not for it.
    if (frame.recovered) return this.isStale ? this.renew() : undefined
    this.synced(this.isSettled ? "gap" : "joined", frame.snapshot)
    this.settleJoin(Exit.void)
  }

  /** The contract's own error: of the first join it is the answer, later it ends the room. */
  private refused(error: Frame.Json): void {
    if (this.isSettled) {
      return this.end(new RequestError.RoomStopped({ detail: "the member was not admitted again" }))
    }
    const decoded = this.contract.joinError?.decode(error) ??
      Result.fail(new RequestError.InvalidPayload({ field: "error", detail: "Expected no error of the contract" }))
    if (Result.isFailure(decoded)) return this.end(decoded.failure)
    this.settleJoin(Exit.fail(decoded.success))
    this.end(new RequestError.NotJoined())
  }

  private failed(reason: RequestError.ProtocolError): void {
    // A member that was admitted before is not turned away by a busy moment, and nobody by a pace that was not known yet.
    const mayWait = this.isSettled || reason._tag === "RateLimited"
    if (!mayWait || !this.isBusy(reason)) this.end(reason)
  }

  private settleJoin(outcome: Exit.Exit<void, unknown>): void {
    if (this.isSettled) return
    this.isSettled = true
    this.owner.after(() => Deferred.doneUnsafe(this.joining, outcome))
  }

  private end(reason: RequestError.RequestError["reason"]): void {
    this.owner.drop(this, new RequestError.RequestError({ reason }))
  }

  override finish(error: RequestError.RequestError | null): void {
    this.settleJoin(Exit.fail(error ?? new RequestError.RequestError({ reason: new RequestError.NotJoined() })))
    super.finish(error)
  }

  /** Asks for a fresh snapshot, by leaving and joining: events in between are in it. */
  private renew(): void {
    this.isStale = true
    this.owner.renew(this)
  }

  // ------------------------------------------------------------- receiving

  readonly receive = (frame: Delivery): void => {
    switch (frame._tag) {
      case "event": {
        const distance = this.distance(frame.offset)
        if (distance <= 0) return
        // Joins again with the position, so that the missed events may still be told.
        if (distance > 1) return this.owner.renew(this)
        this.moveTo(frame.offset)
        return this.event(frame.name, frame.payload, frame.offset, frame.except)
      }
      case "volatile":
        if (this.feed.isCrowded(this.lastSynced)) return
        return this.event(frame.name, frame.payload, undefined, frame.except)
      case "direct":
        return this.event(frame.name, frame.payload, undefined, null)
      case "synced":
        this.position = frame.position
        this.resetPresence()
        return this.synced(reasonOf(frame.reason), frame.snapshot)
      case "present":
        if (frame.all === true) this.resetPresence()
        return this.present(frame.members)
      case "absent":
        this.changePresence().delete(frame.memberId)
        return
      case "left":
        return this.end(
          frame.reason === "stopped"
            ? new RequestError.RoomStopped({ detail: frame.detail })
            : new RequestError.Interrupted({ detail: `${frame.reason}: ${frame.detail}` })
        )
    }
  }

  private event(
    name: string,
    payload: Frame.Json,
    offset: number | undefined,
    except: ReadonlyArray<string> | null
  ): void {
    const element = this.decode(name, payload, offset, except)
    if (element !== undefined) this.push(element)
  }

  /** An event as it is told; undefined for one that skips this member, or is not of the contract. */
  private decode(
    name: string,
    payload: Frame.Json,
    offset: number | undefined,
    except: ReadonlyArray<string> | null
  ): Element | undefined {
    if (except !== null && except.includes(this.memberId)) return undefined
    const decoded = this.contract.events.get(name)?.payload.decode(payload)
    if (decoded === undefined || Result.isFailure(decoded)) return undefined
    return { _tag: name, payload: decoded.success, offset }
  }

  private synced(reason: SyncReason, wire: Frame.Json): void {
    const { snapshot } = this.contract
    const decoded = snapshot === undefined ? Result.void : snapshot.decode(wire)
    if (Result.isFailure(decoded)) return this.reject(decoded.failure)
    this.isStale = false
    this.lastSynced = this.feed.end
    this.push({ _tag: "synced", reason, snapshot: decoded.success })
  }

  /** A snapshot that does not fit the contract: the member leaves. */
  private reject(reason: RequestError.InvalidPayload): void {
    const error = new RequestError.RequestError({ reason })
    this.settleJoin(Exit.fail(error))
    this.feed.finish(error)
    this.owner.leave(this)
  }

  // ------------------------------------------------------------- presence

  private present(members: ReadonlyArray<readonly [id: string, presence: Frame.Json]>): void {
    const { presence } = this.contract
    if (presence === undefined) return
    const next = this.changePresence()
    for (const [id, wire] of members) {
      const decoded = presence.decode(wire)
      if (Result.isSuccess(decoded)) next.set(id, decoded.success)
    }
  }

  private resetPresence(): void {
    this.changePresence().clear()
  }

  /** A copy to change, which watchers see once for all changes that came together. */
  private changePresence(): Map<string, unknown> {
    if (this.nextPresence !== undefined) return this.nextPresence
    const next = new Map(this.presence.value)
    this.nextPresence = next
    this.owner.after(() => {
      this.nextPresence = undefined
      Watched.set(this.presence, next)
    })
    return next
  }

  // ------------------------------------------------------------- reading

  /** A run of the stream of events. Begins with `synced`, and with everything since, as far as it is still there. */
  readonly events: Stream.Stream<Element, RequestError.RequestError> = Stream.suspend(() => {
    const reader = new RoomReader({
      feed: this.feed,
      lastSynced: () => this.lastSynced,
      hasSnapshot: this.contract.snapshot !== undefined,
      renew: () => this.renew()
    })
    return Stream.fromPull(Effect.succeed(reader.pull)).pipe(Stream.ensuring(Effect.sync(reader.close)))
  })

  /** What a page of the history says to this member. */
  readonly page = ({ events, more }: Frame.ServerFrames["page"]): Page<Element> => ({
    events: events.flatMap(([offset, name, payload, except]) => this.decode(name, payload, offset, except) ?? []),
    more,
    before: events[0]?.[0]
  })
}
