// npm run ingest: Kafka to the database.

import { run } from "../process.ts";
import { startIngest } from "./consumer.ts";

await run("ingest", startIngest);
