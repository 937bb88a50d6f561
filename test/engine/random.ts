/**
 * Seeded choices, and how a failure is replayed: `HEDDLE_SEED=n` runs the one seed that failed.
 */

/** A seeded source of choices (64-bit linear congruence). */
export const makeRandom = (seed: number) => {
  let state = BigInt(seed) * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n
  const below = (bound: number): number => {
    state = BigInt.asUintN(64, state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n)
    return Number((state >> 33n) % BigInt(bound))
  }
  return {
    below,
    chance: (percent: number): boolean => below(100) < percent,
    pick: <A>(choices: ReadonlyArray<A>): A => choices[below(choices.length)]!
  }
}

export type Random = ReturnType<typeof makeRandom>

/** The seed to replay, if there is one, or the usual one. */
export const seedOf = (usual: number): number => Number(process.env["HEDDLE_SEED"] ?? usual)

/** The seed to replay, if there is one, or as many as asked for. */
export const seeds = (count: number): ReadonlyArray<number> =>
  process.env["HEDDLE_SEED"] === undefined
    ? Array.from({ length: Number(process.env["HEDDLE_RUNS"] ?? count) }, (_, seed) => seed)
    : [seedOf(0)]
