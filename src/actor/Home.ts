/**
 * Where an actor lives: what ends it from outside, and forgets it once it has ended by itself.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** Who lives in a home. */
export interface Resident {
  /** Ends it at once, and waits until it is no more. */
  readonly close: () => Effect.Effect<void>
}

/** @internal */
export interface Home {
  readonly enter: (resident: Resident) => void
  /** It has ended by itself. */
  readonly left: (resident: Resident) => void
}

/** A place of its own in a scope, which closes it in its turn. */
export class Lease implements Home {
  private readonly scope: Scope.Closeable

  constructor(scope: Scope.Scope) {
    this.scope = Scope.forkUnsafe(scope)
  }

  enter(resident: Resident): void {
    Effect.runFork(Scope.addFinalizerExit(this.scope, () => resident.close()))
  }

  left(): void {
    Scope.closeUnsafe(this.scope, Exit.void)
  }
}

/** A place for many, who are ended together: an entry of a set costs a tenth of a scope. */
export class Group implements Home {
  private readonly residents = new Set<Resident>()

  enter(resident: Resident): void {
    this.residents.add(resident)
  }

  left(resident: Resident): void {
    this.residents.delete(resident)
  }

  /** Ends all of them at once, and waits until they are no more. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    const ends = [...this.residents].map((resident) => resident.close())
    return Effect.forEach(ends, (end) => end, { discard: true })
  })
}
