/**
 * Plain HTTP on Node: from `node:http` to web requests and back.
 */
import type * as Http from "node:http"
import type { Socket as RawSocket } from "node:net"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import type { ReadableStream as WebStream } from "node:stream/web"

export const addressOf = ({ socket }: Http.IncomingMessage): string => socket.remoteAddress ?? ""

export const isSecure = ({ socket }: Http.IncomingMessage): boolean =>
  (socket as RawSocket & { readonly encrypted?: boolean }).encrypted === true

const toRequest = (incoming: Http.IncomingMessage, signal: AbortSignal): Request => {
  const { headers, headersDistinct, method = "GET", url = "/" } = incoming
  const bodiless = method === "GET" || method === "HEAD"
  const origin = `${isSecure(incoming) ? "https" : "http"}://${headers.host ?? "localhost"}`
  return new Request(url.startsWith("/") ? origin + url : url, {
    method,
    headers: Object.entries(headersDistinct).flatMap(([name, values]) =>
      values!.map((value): [string, string] => [name, value])
    ),
    signal,
    ...(bodiless ? {} : { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array>, duplex: "half" })
  })
}

const respond = async (response: Response, request: Http.IncomingMessage, out: Http.ServerResponse) => {
  out.statusCode = response.status
  out.setHeaders(response.headers)
  if (response.body === null) out.end()
  else if (request.method === "HEAD") await Promise.all([response.body.cancel(), out.end()])
  else await pipeline(response.body as WebStream<Uint8Array>, out)
}

/** Answers requests with a web handler. */
export const listener =
  (fetch: (request: Request, address: string) => Promise<Response>): Http.RequestListener => (request, out) => {
    const aborted = new AbortController()
    out.on("close", () => out.writableFinished || aborted.abort())
    Promise.resolve().then(() => fetch(toRequest(request, aborted.signal), addressOf(request)))
      .then((response) => respond(response, request, out))
      .catch(() => out.headersSent ? out.destroy() : out.writeHead(500).end())
  }
