// npm run worker

import { run } from "../process.ts";
import { startWorker } from "./worker.ts";

await run("worker", startWorker);
