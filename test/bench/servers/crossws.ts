/**
 * crossws on Node, with its own publish and subscribe. What a peer publishes it does not get itself, so it is sent that.
 */
import crossws from "crossws/adapters/node"
import * as Http from "node:http"
import { eventStart, port } from "./child.ts"

const roomOf = (url: string) => new URL(url, "http://localhost").searchParams.get("room")!

const ws = crossws({
  hooks: {
    open: (peer) => peer.subscribe(roomOf(peer.request.url)),
    message: (peer, message) => {
      const text = message.text()
      if (text.startsWith(eventStart)) peer.publish(roomOf(peer.request.url), text)
      peer.send(text)
    }
  }
})

Http.createServer().on("upgrade", ws.handleUpgrade).listen(port, "127.0.0.1")
