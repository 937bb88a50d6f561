/**
 * What an orchestrator and a monitor ask a server over plain HTTP.
 */
import type * as Context from "effect/Context"
import * as Prometheus from "./Prometheus.ts"

/** Which of the paths there are; none unless switched on. */
export interface Options {
  /** `/healthz` answers 200 as long as the process serves, `/readyz` too until the engine drains, then 503. */
  readonly health?: boolean
  /**
   * `/metrics` answers with all metrics of effect in the engine's context, as Prometheus reads them: the engine's own,
   * which nothing measures unless this is on, and those of the application.
   */
  readonly metrics?: boolean
}

/** Answers the requests to these paths. */
export const make = (
  { health = false, metrics = false }: Options,
  isDraining: () => boolean,
  context: Context.Context<never>
) =>
(request: Request): Response | undefined => {
  if (!(health || metrics) || (request.method !== "GET" && request.method !== "HEAD")) return undefined
  const { pathname } = new URL(request.url)
  if (health && pathname === "/healthz") return new Response("ok\n")
  if (health && pathname === "/readyz") {
    return isDraining() ? new Response("draining\n", { status: 503 }) : new Response("ready\n")
  }
  if (!metrics || pathname !== "/metrics") return undefined
  return new Response(Prometheus.render(context), { headers: { "content-type": Prometheus.contentType } })
}
