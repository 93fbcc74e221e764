// Kafka's codecs: gzip, which kafkajs brings itself, snappy, lz4 and zstd.
// They decompress on the main thread: for the batches of producers, some 100 kB, lz4 takes 0.25 us an event, and 0.4 us by way of libuv's
// threads, which have to fault in new memory each time.

import { promisify } from "node:util";
import { gunzipSync, zstdCompress, zstdDecompressSync } from "node:zlib";
import kafkajs from "kafkajs";
import { compressFrame, decompressFrameSync } from "lz4-napi";
import { compress as snappyCompress, uncompressSync as snappyUncompressSync } from "snappy";

const { CompressionCodecs, CompressionTypes } = kafkajs;

// The framing of Java's snappy: this magic, two version numbers, then blocks, each after its length. librdkafka writes raw snappy.
const XERIAL_MAGIC = Buffer.from("\x82SNAPPY\0", "latin1");
const XERIAL_HEADER_BYTES = 16;

const MAX_BYTES = 256 << 20; // of a batch; gzip and zstd can make gigabytes of a megabyte

type Encoder = { buffer: Buffer };

const DECOMPRESS: Record<number, (compressed: Buffer) => Buffer> = {
  [CompressionTypes.GZIP]: (compressed) => gunzipSync(compressed, { maxOutputLength: MAX_BYTES }),
  [CompressionTypes.Snappy]: uncompressSnappy,
  [CompressionTypes.LZ4]: decompressFrameSync,
  [CompressionTypes.ZSTD]: (compressed) => zstdDecompressSync(compressed, { maxOutputLength: MAX_BYTES }),
};

/** Undoes one of Kafka's codecs, which has the number that it has in a batch of records; 0 is none. */
export function decompress(codec: number, bytes: Buffer): Buffer {
  if (codec === CompressionTypes.None) return bytes;
  const decode = DECOMPRESS[codec];
  if (decode === undefined) throw new Error(`Kafka has no codec ${codec}`);
  return decode(bytes);
}

/** Makes kafkajs read and write snappy, lz4 and zstd. */
export function registerCodecs(): void {
  const compressors = {
    [CompressionTypes.Snappy]: snappyCompress,
    [CompressionTypes.LZ4]: compressFrame,
    [CompressionTypes.ZSTD]: promisify(zstdCompress),
  };
  for (const [type, compress] of Object.entries(compressors)) {
    const codec = Number(type) as keyof typeof compressors;
    CompressionCodecs[codec] = () => ({
      compress: (encoder: Encoder) => compress(encoder.buffer),
      decompress: async (buffer: Buffer) => decompress(codec, buffer),
    });
  }
}

/** Reads snappy, raw or in Java's framing. */
function uncompressSnappy(buffer: Buffer): Buffer {
  if (!buffer.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return snappyUncompressSync(buffer) as Buffer;
  const blocks: Buffer[] = [];
  for (let at = XERIAL_HEADER_BYTES; at + 4 <= buffer.length; ) {
    const end = at + 4 + buffer.readUInt32BE(at);
    blocks.push(snappyUncompressSync(buffer.subarray(at + 4, end)) as Buffer);
    at = end;
  }
  return Buffer.concat(blocks);
}
