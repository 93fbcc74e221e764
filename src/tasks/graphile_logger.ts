// Graphile Worker's log lines in the form of ours. What it tells about every job is for debugging.

import { Logger } from "graphile-worker";
import { log } from "../log.ts";

const LEVELS = { error: log.error, warning: log.warn, info: log.debug, debug: log.debug };

export const graphileLogger = new Logger((scope) => (level, message) => {
  LEVELS[level as keyof typeof LEVELS]?.(`jobs: ${message.replace(/\s*\n\s*/g, " ")}`, {
    ...(scope.taskIdentifier && { task: scope.taskIdentifier }),
  });
});
