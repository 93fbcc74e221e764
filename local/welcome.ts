// What npm start prints when all is ready: where everything is, and what to do first.

import { styleText } from "node:util";
import type { Config } from "../src/config.ts";

/** The addresses. `server` is the server's base URL. */
export function welcome(config: Config, server: string): string {
  const database = new URL(config.databaseUrl);
  const secret = database.password !== "";
  database.password = "";
  const rows = [
    ["GraphQL IDE", `${server}/`],
    ["GraphQL", `${server}/graphql`],
    ["SQL", secret ? `npm run psql (on ${database.href})` : `npm run psql, or psql ${database.href}`],
    ["Kafka", `${config.kafka.brokers.join(",")}: events to ${config.ingestTopic}, alerts on ${config.alertTopic}`],
    ["Send a log", "npm run publish -- --service web --into-last 30m access.log"],
    ...(config.jwksUrl
      ? []
      : [["Edit alerts", "npm run token -- operator: a token for the header Authorization: Bearer …"]]),
    ["Stop", "Ctrl-C"],
  ];
  const title = styleText(["bold", "green"], "StackLens is ready.", { stream: process.stdout });
  return `\n${title}\n\n${rows.map(([name, value]) => `  ${name!.padEnd(13)}${value}\n`).join("")}\n`;
}
