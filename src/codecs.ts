// Kafka's codecs beside gzip, which kafkajs brings itself: snappy, lz4 and zstd.

import { promisify } from "node:util";
import { zstdCompress, zstdDecompress } from "node:zlib";
import kafkajs from "kafkajs";
import { compressFrame, decompressFrame } from "lz4-napi";
import { compress as snappyCompress, uncompress as snappyUncompress } from "snappy";

const { CompressionCodecs, CompressionTypes } = kafkajs;

// The framing of Java's snappy: this magic, two version numbers, then blocks, each after its length. librdkafka writes raw snappy.
const XERIAL_MAGIC = Buffer.from("\x82SNAPPY\0", "latin1");
const XERIAL_HEADER_BYTES = 16;

type Encoder = { buffer: Buffer };

/** Makes kafkajs read and write snappy, lz4 and zstd. */
export function registerCodecs(): void {
  const zstd = { compress: promisify(zstdCompress), decompress: promisify(zstdDecompress) };
  CompressionCodecs[CompressionTypes.Snappy] = () => ({
    compress: (encoder: Encoder) => snappyCompress(encoder.buffer),
    decompress: uncompressSnappy,
  });
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: (encoder: Encoder) => compressFrame(encoder.buffer),
    decompress: (buffer: Buffer) => decompressFrame(buffer),
  });
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: (encoder: Encoder) => zstd.compress(encoder.buffer),
    decompress: (buffer: Buffer) => zstd.decompress(buffer),
  });
}

/** Reads snappy, raw or in Java's framing. */
async function uncompressSnappy(buffer: Buffer): Promise<Buffer> {
  if (!buffer.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return (await snappyUncompress(buffer)) as Buffer;
  const blocks: Promise<string | Buffer>[] = [];
  for (let at = XERIAL_HEADER_BYTES; at + 4 <= buffer.length; ) {
    const end = at + 4 + buffer.readUInt32BE(at);
    blocks.push(snappyUncompress(buffer.subarray(at + 4, end)));
    at = end;
  }
  return Buffer.concat((await Promise.all(blocks)) as Buffer[]);
}
