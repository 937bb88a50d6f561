/**
 * Who is on the other end of a connection.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** The brand of identities. */
export const TypeId = "~heddle/Identity"
/** The brand of identities. */
export type TypeId = typeof TypeId

/** The brand of identities: services whose value differs from one connection to another. */
export interface Any {
  readonly [TypeId]: TypeId
}

/** What {@link Service} gives: a service class with the brand. */
export interface IdentityClass<Self, Key extends string, Shape> extends Context.Service<Self, Shape> {
  new(_: never): Context.ServiceClass.Shape<Key, Shape> & Any
  readonly key: Key
}

/**
 * Defines an identity: a service that is different for each connection.
 *
 * A handler that needs it makes its room's layer require the {@link Authenticator} of it, which only {@link layer}
 * provides.
 *
 * @example
 * ```ts
 * class CurrentUser extends Identity.Service<CurrentUser, { readonly id: string }>()("app/CurrentUser") {}
 * ```
 */
export const Service = <Self, Shape>() => <const Key extends string>(key: Key): IdentityClass<Self, Key, Shape> =>
  Context.Service<Self, Shape>()(key) as never

/** What a connection brings with it when it says who it is. */
export interface Handshake {
  /** The token of the client's options; never logged, never echoed. */
  readonly token: string | undefined
  readonly headers: Headers
  readonly url: URL
  readonly address: string
}

/** The credentials were not accepted; the connection is closed with 4401. */
export class Unauthorized extends Data.TaggedError("Unauthorized")<{ readonly detail: string }> {}

/** Refuses the credentials; `detail` is told to the client. */
export const unauthorized = (detail: string): Effect.Effect<never, Unauthorized> =>
  Effect.fail(new Unauthorized({ detail }))

/** Turns the credentials of a connection into the identity `I`. */
export interface Authenticator<in out I> {
  readonly "~heddle/Authenticator": I
}

/** What the engine runs once per connection, within the handshake time. */
export interface AuthenticatorService {
  readonly identity: string
  /** Gives the identity, or refuses the credentials. */
  readonly authenticate: (handshake: Handshake) => Effect.Effect<unknown, Unauthorized>
  /** Who an identity that it gave is; undefined for nobody in particular. */
  readonly subject: (value: unknown) => string | undefined
}

const keyPrefix = "heddle/Identity/Authenticator/"

/** A handler that needs an identity needs its authenticator instead. */
export type Authenticated<R> = R extends Any ? Authenticator<R> : R

/** What an identity's authenticator may say about it. */
export interface Options<in S> {
  /**
   * The user behind an identity, for example the key of a row; undefined or empty for nobody in particular, as a guest.
   *
   * Connections of one subject share the bounds of a user. Unless said, the property `id` of the identity, or else
   * `sub`, if it is a string.
   */
  readonly subject?: (value: S) => string | undefined
}

/** The `id` of our own and most applications, the `sub` of a JSON Web Token's claims. */
const subjectIn = (value: unknown): string | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  const { id, sub } = value as { readonly id?: unknown; readonly sub?: unknown }
  return typeof id === "string" ? id : typeof sub === "string" ? sub : undefined
}

/**
 * Provides the authenticator of an identity: run once per connection, before its first frame is answered.
 *
 * @example
 * ```ts
 * Identity.layer(CurrentUser, ({ token }) => userOf(token), { subject: ({ email }) => email })
 * ```
 */
export const layer = <I extends Any, S, R = never>(
  identity: Context.Key<I, S>,
  authenticate: (handshake: Handshake) => Effect.Effect<S, Unauthorized, R>,
  options: Options<NoInfer<S>> = {}
): Layer.Layer<Authenticator<I>, never, R> =>
  Layer.effect(
    Context.Service<Authenticator<I>, AuthenticatorService>(keyPrefix + identity.key),
    Effect.contextWith((context: Context.Context<R>) =>
      Effect.succeed({
        identity: identity.key,
        authenticate: (handshake: Handshake) => Effect.provideContext(authenticate(handshake), context),
        subject: (options.subject ?? subjectIn) as AuthenticatorService["subject"]
      })
    )
  )

/** The authenticators in a context, by the key of their identity. */
export const authenticatorsIn = (context: Context.Context<never>): ReadonlyMap<string, AuthenticatorService> => {
  const found = new Map<string, AuthenticatorService>()
  for (const [key, value] of context.mapUnsafe) {
    if (key.startsWith(keyPrefix)) found.set(key.slice(keyPrefix.length), value as AuthenticatorService)
  }
  return found
}

/** The identities of a session, by the key of the service. */
export type Identities = ReadonlyMap<string, unknown>

/** Where a member keeps the identities of its session. */
export const Identified = "~heddle/Identity/identities"
/** Whoever has identities: members, and who wants to become one. */
export interface Identified {
  readonly [Identified]: Identities
}

/**
 * The identity behind a member other than the caller.
 *
 * The authenticator it requires is what put the identity there, so a member always has one.
 */
export const of = <I extends Any, S>(
  identity: Context.Key<I, S>,
  member: Identified
): Effect.Effect<S, never, Authenticator<I>> => Effect.sync(() => member[Identified].get(identity.key) as S)
