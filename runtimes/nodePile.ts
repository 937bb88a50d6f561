/**
 * Bytes that come in pieces: however small these are, they take little more memory than their bytes.
 */

/** Pieces of fewer bytes than this, in the mean, are joined once there are as many as `manyPieces`. */
const smallPiece = 1024
const manyPieces = 64

export class NodePile {
  bytes = 0
  private pieces: Array<Uint8Array> = []

  add(piece: Uint8Array): void {
    if (piece.length === 0) return
    // A view keeps all of what it is a view of.
    this.pieces.push(piece.length * 2 < piece.buffer.byteLength ? new Uint8Array(piece) : piece)
    this.bytes += piece.length
    if (this.pieces.length >= manyPieces && this.bytes < this.pieces.length * smallPiece) this.pieces = [this.join()]
  }

  join(): Buffer {
    // Of its own size: the pool would keep more alive.
    const whole = Buffer.allocUnsafeSlow(this.bytes)
    let at = 0
    for (const piece of this.pieces) {
      whole.set(piece, at)
      at += piece.length
    }
    return whole
  }
}
