// TimescaleDB and Kafka in containers, for machines with a Docker engine. The images are pinned in images.json.

import { PostgreSqlContainer } from "@testcontainers/postgresql";
import { GenericContainer, getContainerRuntimeClient, Wait } from "testcontainers";
import { freePort } from "../../local/ports.ts";
import images from "./images.json" with { type: "json" };

const KAFKA = 9092; // inside the container

/** Whether a Docker engine (or one that speaks its language) answers; 2 ms where none does. */
export async function dockerAnswers(): Promise<boolean> {
  return getContainerRuntimeClient().then(
    () => true,
    () => false,
  );
}

export async function timescaleContainer() {
  const container = await new PostgreSqlContainer(images.timescaledb)
    .withDatabase("postgres")
    .withUsername("postgres")
    .withTmpFs({ "/var/lib/postgresql/data": "rw" })
    .start();
  return {
    says: `container of ${images.timescaledb}, ${container.getHost()}:${container.getPort()}`,
    url: container.getConnectionUri(),
    stop: async () => void (await container.stop()),
  };
}

export async function kafkaContainer() {
  // A broker tells its clients where to connect, so the port must be known before the container is there.
  const { host } = (await getContainerRuntimeClient()).info.containerRuntime;
  const port = await freePort();
  const container = await new GenericContainer(images.kafka)
    .withExposedPorts({ container: KAFKA, host: port })
    .withEnvironment({
      KAFKA_NODE_ID: "1",
      KAFKA_PROCESS_ROLES: "broker,controller",
      KAFKA_LISTENERS: `PLAINTEXT://:${KAFKA},CONTROLLER://:9093`,
      KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://${host}:${port}`,
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
      KAFKA_CONTROLLER_LISTENER_NAMES: "CONTROLLER",
      KAFKA_CONTROLLER_QUORUM_VOTERS: "1@localhost:9093",
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: "1",
      KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: "1",
      KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: "1",
      KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: "0",
    })
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .start();
  return {
    says: `container of ${images.kafka}, ${host}:${port}`,
    brokers: [`${host}:${port}`],
    stop: async () => void (await container.stop()),
  };
}
