/**
 * Why there is no result.
 */

/** An expected failure of a run or of its preparation, said in one line. */
export class RunFailed extends Error {}
