// Kafka's settings for one node on a laptop: few threads, small internal topics, nothing replicated.

/** The text of server.properties. Topics are never made by a typo: auto.create.topics.enable is off. */
export function serverProperties(options: { data: string; port: number; controllerPort: number }): string {
  const { data, port, controllerPort } = options;
  return `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
controller.listener.names=CONTROLLER
listeners=BROKER://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=BROKER://127.0.0.1:${port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
log.dirs=${data.replaceAll("\\", "\\\\")}

auto.create.topics.enable=false
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# A single ingester starts to read at once instead of waiting 3 s for others.
group.initial.rebalance.delay.ms=0

# After a kill -9 the next start waits until the controller has given up the old broker: 9 s by default.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=2
# 128 MB of heap by default; nothing here is compacted but offsets.
log.cleaner.dedupe.buffer.size=8388608

log.segment.bytes=67108864
log.retention.hours=24
`;
}
