// Fetches the logs of an assignment, from each broker that leads some of its partitions. While a log is decoded and stored, the next
// one is on its way.

import { type Cluster, type FetchedLog, fetchLogs } from "../kafka.ts";
import type { Outage } from "../outage.ts";
import type { Assignment } from "./partitions.ts";
import { pause } from "./wait.ts";

// Of a partition and in all, as Kafka has them, compressed. Two fetches are in memory: 320 MB at most with uncompressed events.
const LIMITS = { maxBytesPerPartition: 1 << 20, maxBytes: 6 << 20, maxWaitMs: 500 }; // stopping waits for it
const AGAIN_MS = 1_000;
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

/** Ends when the assignment is revoked, or with the first error of a broker. */
async function fetchFromAll(cluster: Cluster, topic: string, assignment: Assignment, kafka: Outage): Promise<void> {
  await cluster.connect();
  await cluster.addTargetTopic(topic);
  const leaders = Object.entries(cluster.findLeaderForPartitions(topic, [...assignment.partitions.keys()]));
  const round = new AbortController();
  const signal = AbortSignal.any([round.signal, assignment.revoked]);

  async function fetchFrom(leader: string, numbers: number[]): Promise<void> {
    const ask = async (here: FetchedLog[]) => {
      numbers.push(numbers.shift()!); // the one that is asked for first gets its share first: they take turns
      const wanted = await assignment.wanted(numbers, here);
      if (wanted.length === 0) await pause(AGAIN_MS, signal);
      return signal.aborted ? [] : fetchLogs(cluster, leader, topic, wanted, LIMITS);
    };
    if (leader === NO_LEADER) throw new Error(`no broker leads the partitions ${numbers} of ${topic}`);
    let coming = ask([]);
    while (!signal.aborted) {
      const logs = await coming;
      kafka.over();
      coming = ask(logs);
      coming.catch(() => {}); // it is looked at when it is its turn
      await Promise.all(logs.map(assignment.take));
    }
  }

  try {
    await Promise.all(
      leaders.map(([leader, numbers]) =>
        fetchFrom(leader, numbers).catch(async (error) => {
          await pause(AGAIN_MS, signal); // what the other brokers have may come meanwhile
          throw error;
        }),
      ),
    );
  } finally {
    round.abort();
  }
}
