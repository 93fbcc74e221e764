// Fetches the logs of an assignment, from each broker that leads some of its partitions. While a log is decoded and stored, the next
// one is on its way.

import { type Cluster, type FetchedLog, fetchLogs } from "../kafka.ts";
import type { Outage } from "../outage.ts";
import type { Assignment } from "./partitions.ts";
import { pause } from "./wait.ts";

// Of a partition, and of all from one broker, as Kafka has them, compressed. Two fetches of a broker are in memory.
const LIMITS = { maxBytesPerPartition: 1 << 20, maxBytes: 6 << 20, maxWaitMs: 500 }; // stopping waits for it
const AGAIN_MS = 1_000;
const LEADERLESS_MS = 5_000; // then the leaders are looked up again; what has one is fetched meanwhile
const NO_LEADER = "-1";

/**
 * Keeps an assignment supplied until it is revoked. After an error it starts again with new connections, since the leaders may be
 * others now.
 */
export async function keepFetching(
  connect: () => Cluster,
  topic: string,
  assignment: Assignment,
  kafka: Outage,
): Promise<void> {
  const { revoked } = assignment;
  while (!revoked.aborted && assignment.partitions.size > 0) {
    const cluster = connect();
    const close = () => cluster.disconnect().catch(() => {});
    revoked.addEventListener("abort", close);
    try {
      await fetchFromAll(cluster, topic, assignment, kafka);
    } catch (error) {
      if (!revoked.aborted) kafka.began(error);
      await pause(AGAIN_MS, revoked);
    } finally {
      revoked.removeEventListener("abort", close);
      await close();
    }
  }
}

/** Ends when the assignment is revoked, or with the first error of a broker; what is being taken by then is waited for. */
async function fetchFromAll(cluster: Cluster, topic: string, assignment: Assignment, kafka: Outage): Promise<void> {
  await cluster.connect();
  await cluster.addTargetTopic(topic);
  const { [NO_LEADER]: _, ...leaders } = cluster.findLeaderForPartitions(topic, [...assignment.partitions.keys()]);
  const led = new Set(Object.values(leaders).flat());
  const leaderless = [...assignment.partitions.keys()].filter((number) => !led.has(number));
  const silent = new Set([...Object.keys(leaders), ...(leaderless.length > 0 ? [NO_LEADER] : [])]);
  const round = new AbortController();
  const signal = AbortSignal.any([round.signal, assignment.revoked]);
  const taking = new Set<Promise<void>>();

  async function fetchFrom(leader: string, numbers: number[]): Promise<void> {
    const ask = async (here: FetchedLog[]) => {
      numbers.push(numbers.shift()!); // the one that is asked for first gets its share first: they take turns
      const wanted = await assignment.wanted(numbers, here);
      if (wanted.length === 0) await pause(AGAIN_MS, signal);
      return signal.aborted || wanted.length === 0 ? [] : fetchLogs(cluster, leader, topic, wanted, LIMITS);
    };
    let coming = ask([]);
    while (!signal.aborted) {
      const logs = await coming;
      if (signal.aborted) return;
      silent.delete(leader);
      if (silent.size === 0) kafka.over();
      coming = ask(logs);
      coming.catch(() => {}); // it is looked at when it is its turn
      const taken = Promise.all(logs.map(assignment.take)).then(() => {});
      taking.add(taken);
      await taken;
      taking.delete(taken);
    }
  }

  async function missLeaders(): Promise<void> {
    await pause(LEADERLESS_MS, signal);
    throw new Error(`no broker leads the partitions ${leaderless} of ${topic}`);
  }

  try {
    await Promise.all([
      ...Object.entries(leaders).map(([leader, numbers]) =>
        fetchFrom(leader, numbers).catch(async (error) => {
          await pause(AGAIN_MS, signal); // what the other brokers have may come meanwhile
          throw error;
        }),
      ),
      ...(leaderless.length > 0 ? [missLeaders()] : []),
    ]);
  } finally {
    round.abort();
    await Promise.allSettled(taking); // else what waits for a slow database would grow with each round
  }
}
