// What kafka.ts takes from inside of kafkajs 2.2.4, which has no types for it.

declare module "kafkajs/src/cluster/index.js" {
  type Request = { apiKey: number; apiVersion: number; apiName: string; encode: () => Promise<unknown> };
  type Response<T> = { decode: (raw: Buffer) => Promise<T>; parse: (decoded: T) => Promise<T> };
  type Broker = {
    connectionPool: { send: <T>(exchange: { request: Request; response: Response<T> }) => Promise<T> };
  };

  /** Connections to the brokers of a cluster, and what they say of its topics. */
  export default class Cluster {
    constructor(options: object);
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    addTargetTopic(topic: string): Promise<void>;
    /** Partitions by the id of the broker that leads them, "-1" where none does. */
    findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>;
    findBroker(which: { nodeId: string }): Promise<Broker>;
  }
}

declare module "kafkajs/src/protocol/requests/fetch/v4/request.js" {
  export default function fetchRequest(options: {
    replicaId: number;
    maxWaitTime: number;
    minBytes: number;
    maxBytes: number;
    topics: { topic: string; partitions: { partition: number; fetchOffset: number; maxBytes: number }[] }[];
  }): import("kafkajs/src/cluster/index.js").Request;
}

declare module "kafkajs/src/protocol/decoder.js" {
  export default class Decoder {
    constructor(bytes: Buffer);
    readInt16(): number;
    readInt32(): number;
    readInt64(): bigint;
    readString(): string | null;
    readBytes(): Buffer | null;
    readArray<T>(read: () => T): T[];
  }
}

declare module "kafkajs/src/network/socketFactory.js" {
  export default function socketFactory(): unknown;
}

declare module "kafkajs/src/protocol/error.js" {
  export function createErrorFromCode(code: number): Error;
}
