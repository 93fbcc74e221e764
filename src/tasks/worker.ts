// Wires the worker: Graphile Worker with the tasks of this folder and its crontab, and the two loops that are finer than a minute.
// The loops live in every worker process rather than in a job that adds itself again: nobody has to poll for that job, and no
// crashed worker can take it into its grave, where its lock would keep it for 4 hours. SQL sees to it that one evaluates at a time.

import { fileURLToPath } from "node:url";
import { run } from "graphile-worker";
import type { Config } from "../config.ts";
import { connect } from "../db.ts";
import { kafkaClient } from "../kafka.ts";
import { cleanUp } from "./clean_up.ts";
import { databaseReady } from "./database_ready.ts";
import { evaluateAlerts } from "./evaluate_alerts.ts";
import { graphileLogger } from "./graphile_logger.ts";
import { startLoop } from "./loop.ts";
import { publishAlert } from "./publish_alert.ts";
import { refreshRollups } from "./refresh_rollups.ts";

const SECOND = 1_000;
/** At most this often, however fast batches come in. */
const NUDGE_GAP_MS = 200;
/** Ends a metric of a user that runs away; internal.custom_metric_samples then lets it rest. */
const EVALUATION_LIMIT_MS = 5_000;

/** Starts the worker; the answer stops it: no new jobs, those that run are finished or given back. */
export async function startWorker(config: Config): Promise<() => Promise<void>> {
  const evaluation = connect(config.databaseUrl, "stacklens worker: alerts", 2, {
    statement_timeout: `${EVALUATION_LIMIT_MS}`,
  });
  const maintenance = connect(config.databaseUrl, "stacklens worker: maintenance", 2);
  const alerts = publishAlert(evaluation, kafkaClient(config, "stacklens-worker"), config.alertTopic);

  await databaseReady(maintenance);
  const runner = await run({
    noHandleSignals: true,
    logger: graphileLogger,
    preset: {
      worker: {
        connectionString: config.databaseUrl,
        maxPoolSize: 4,
        concurrentJobs: 4,
        crontabFile: fileURLToPath(new URL("crontab", import.meta.url)),
        gracefulShutdownAbortTimeout: SECOND,
      },
    },
    taskList: {
      evaluate_alerts: evaluateAlerts(evaluation),
      publish_alert: alerts.task,
      refresh_rollups: refreshRollups(maintenance),
      clean_up: cleanUp(maintenance),
    },
  });

  const evaluating = startLoop("evaluate_alerts", SECOND, NUDGE_GAP_MS, () => evaluateAlerts(evaluation)({}));
  const refreshing = startLoop("refresh_rollups", SECOND, SECOND, () => refreshRollups(maintenance)({}));
  await runner.addJob("publish_alert", {}); // what a worker that crashed has left
  await evaluation.listen("stacklens_ingested", evaluating.nudge);

  return async () => {
    await Promise.all([evaluating.stop(), refreshing.stop(), runner.stop()]);
    await Promise.all([alerts.stop(), evaluation.end({ timeout: 1 }), maintenance.end({ timeout: 1 })]);
  };
}
