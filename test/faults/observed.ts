/** What a server does with its sockets and outboxes, as it sees it: for claims that no client can vouch for. */
import { Effect, Layer } from "effect"
import { Outbox } from "../../src/engine/Outbox.ts"
import { type ListenError, type Socket, Transport } from "../../src/engine/Transport.ts"

export class Observed {
  /** The codes with which the engine closed sockets, in order. */
  readonly closes: Array<number> = []
  pauses = 0
  /** The most bytes that one outbox had, that one runtime's buffer had, and that both had together. */
  readonly most = { queued: 0, buffered: 0, both: 0 }
  samples = 0

  sample(queued: number, buffered: number): void {
    this.samples++
    this.most.queued = Math.max(this.most.queued, queued)
    this.most.buffered = Math.max(this.most.buffered, buffered)
    this.most.both = Math.max(this.most.both, queued + buffered)
  }

  private socket(socket: Socket): Socket {
    const { pause } = socket
    return {
      ...socket,
      send: (data) => socket.send(data),
      bufferedAmount: () => socket.bufferedAmount(),
      tickEnd: (flusher) => socket.tickEnd(flusher),
      close: (code, reason) => {
        this.closes.push(code)
        socket.close(code, reason)
      },
      ...(pause === undefined ? {} : {
        pause: () => {
          this.pauses++
          pause.call(socket)
        },
        resume: () => socket.resume!()
      }),
      ...(socket.terminate === undefined ? {} : { terminate: () => socket.terminate!() })
    }
  }

  /** The transport with every socket observed. */
  readonly of = (transport: Layer.Layer<Transport, ListenError>): Layer.Layer<Transport, ListenError> =>
    Layer.effect(
      Transport,
      Effect.map(Effect.service(Transport), (real) => ({
        ...real,
        listen: (acceptor) =>
          real.listen({
            ...acceptor,
            upgrade: (request) => {
              const verdict = acceptor.upgrade(request)
              if (verdict._tag === "Refusal") return verdict
              return { ...verdict, open: (socket) => verdict.open(this.socket(socket)) }
            }
          })
      }))
    ).pipe(Layer.provide(transport))

  /** Samples an outbox after each frame that is pushed, and when a tick has handed over, until the scope closes. */
  readonly outboxes = Effect.acquireRelease(
    Effect.sync(() => {
      const prototype = Outbox.prototype as unknown as {
        push: (...args: Array<unknown>) => unknown
        handOver: () => void
      }
      const { handOver, push } = prototype
      const sample = (outbox: any) => this.sample(outbox.queuedBytes, outbox.socket.bufferedAmount())
      prototype.push = function(this: any, ...args) {
        const result = push.apply(this, args)
        sample(this)
        return result
      }
      prototype.handOver = function(this: any) {
        handOver.call(this)
        sample(this)
      }
      return { handOver, push }
    }),
    (real) => Effect.sync(() => void Object.assign(Outbox.prototype, real))
  )
}
