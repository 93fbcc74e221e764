// Rows in Postgres' binary COPY format, written one after the other into memory that is used again for every batch.
// Binary against text, the same 200 000 rows, native server: 3.3 against 3.9 µs of the backend's CPU a row, and nothing to escape.

const FIRST_SIZE = 1 << 20;

/** A growing buffer with the writers that a row is made of. Every field starts with its length as int32, -1 for NULL. */
export class RowBuffer {
  bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_SIZE);
  view: DataView = new DataView(this.bytes.buffer);
  /** Where the next byte goes. */
  at = 0;

  /** Makes room for `size` more bytes; the writers do not check. */
  reserve(size: number): void {
    if (this.at + size <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.at + size));
    this.bytes.copy(larger, 0, 0, this.at);
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }

  byte(value: number): void {
    this.bytes[this.at++] = value;
  }

  int16(value: number): void {
    this.view.setInt16(this.at, value);
    this.at += 2;
  }

  int32(value: number): void {
    this.view.setInt32(this.at, value);
    this.at += 4;
  }

  /** An integer within ±2^53. */
  int64(value: number): void {
    const high = Math.floor(value / 4294967296);
    this.view.setInt32(this.at, high);
    this.view.setUint32(this.at + 4, value - high * 4294967296);
    this.at += 8;
  }

  float64(value: number): void {
    this.view.setFloat64(this.at, value);
    this.at += 8;
  }

  null(): void {
    this.int32(-1);
  }

  /** The bytes of `from` in [start, end). */
  copy(from: Buffer, start: number, end: number): void {
    // A call into C++ costs as much as copying some 60 bytes here.
    if (end - start > 60) {
      from.copy(this.bytes, this.at, start, end);
      this.at += end - start;
      return;
    }
    const bytes = this.bytes;
    let at = this.at;
    for (let i = start; i < end; i++) bytes[at++] = from[i]!;
    this.at = at;
  }
}
