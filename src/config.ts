// The environment, read once. A wrong value stops the process with one line that names the variable and what it takes.

import type { LogLevel } from "./log.ts";

export type Config = {
  databaseUrl: string;
  adhocDatabaseUrl?: string;
  kafka: {
    brokers: string[];
    ssl: boolean;
    sasl?: { mechanism: "plain" | "scram-sha-256" | "scram-sha-512"; username: string; password: string };
  };
  ingestTopic: string;
  alertTopic: string;
  ingestGroup: string;
  host: string;
  port: number;
  logLevel: LogLevel;
  corsOrigins: string[];
  selfEvents: boolean;
  jwtSecret?: string;
  jwksUrl?: string;
  jwtIssuer?: string;
  jwtAudience?: string;
  /** NODE_ENV=production: nothing internal in any answer, and IDE and introspection are off unless told otherwise. */
  production: boolean;
  ide: boolean;
  introspection: boolean;
  /** GraphQL requests of one client that run at the same time. */
  requestsPerClient: number;
  /** Whether clients are told apart by the X-Forwarded-For of a proxy before us. */
  trustProxy: boolean;
  rootDatabaseUrl?: string;
  shadowDatabaseUrl?: string;
};

/** A wrong or missing environment variable; its message is the one line that the user reads. */
export class ConfigError extends Error {}

/**
 * Reads the configuration from the environment.
 * @throws ConfigError naming the first variable that is missing or malformed.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const text = (name: string) => env[name]?.trim() || undefined;

  const required = (name: string, example: string) => {
    const value = text(name);
    if (!value)
      throw new ConfigError(`${name} is not set: set it to ${example}, or use \`npm start\`, which starts a local one`);
    return value;
  };

  const oneOf = <T extends string>(name: string, allowed: readonly T[], fallback: T): T => {
    const value = text(name)?.toLowerCase() ?? fallback;
    if (!allowed.includes(value as T))
      throw new ConfigError(`${name} is "${text(name)}": use one of ${allowed.join(", ")}`);
    return value as T;
  };

  const flag = (name: string, fallback: "on" | "off") =>
    ["on", "true", "1", "yes"].includes(oneOf(name, ["on", "off", "true", "false", "1", "0", "yes", "no"], fallback));

  const url = (name: string, value: string, protocols: string[], example: string) => {
    if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol))
      throw new ConfigError(`${name} is not a URL of the form ${example}`);
    return value;
  };

  const database = (name: string) => {
    const value = text(name);
    return value && url(name, value, ["postgres:", "postgresql:"], "postgres://user:password@host:5432/database");
  };

  const topic = (name: string, fallback: string) => {
    const value = text(name) ?? fallback;
    if (!/^[A-Za-z0-9._-]{1,249}$/.test(value))
      throw new ConfigError(`${name} is "${value}": a topic has 1 to 249 letters, digits, dots, dashes or underscores`);
    return value;
  };

  const port = Number(text("PORT") ?? 8005);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new ConfigError(`PORT is "${text("PORT")}": use a number from 1 to 65535`);

  const brokers = required("KAFKA_BROKERS", "host:port, several separated by commas")
    .split(",")
    .map((broker) => broker.trim());
  const wrong = brokers.find((broker) => !/^(\[[0-9a-fA-F:]+\]|[^\s:]+):\d{1,5}$/.test(broker));
  if (wrong !== undefined) throw new ConfigError(`KAFKA_BROKERS has "${wrong}": each broker is host:port`);

  const mechanism = oneOf("KAFKA_SASL_MECHANISM", ["none", "plain", "scram-sha-256", "scram-sha-512"] as const, "none");
  const sasl = mechanism !== "none" && {
    mechanism,
    username: required("KAFKA_USERNAME", "the SASL user name"),
    password: required("KAFKA_PASSWORD", "the SASL password"),
  };

  const jwtSecret = text("JWT_SECRET");
  if (jwtSecret && jwtSecret.length < 32)
    throw new ConfigError("JWT_SECRET is too short: HS256 needs 32 characters or more");
  const jwksUrl = text("JWKS_URL");
  if (jwksUrl) url("JWKS_URL", jwksUrl, ["https:", "http:"], "https://host/path");
  if (jwtSecret && jwksUrl)
    throw new ConfigError("JWT_SECRET and JWKS_URL are both set: set the one that your tokens are signed for");

  const jwtIssuer = text("JWT_ISSUER");
  const jwtAudience = text("JWT_AUDIENCE");

  const production = text("NODE_ENV") === "production";
  const requestsPerClient = Number(text("REQUESTS_PER_CLIENT") ?? 8);
  if (!Number.isInteger(requestsPerClient) || requestsPerClient < 1 || requestsPerClient > 1000)
    throw new ConfigError(`REQUESTS_PER_CLIENT is "${text("REQUESTS_PER_CLIENT")}": use a number from 1 to 1000`);

  const databaseUrl = url(
    "DATABASE_URL",
    required("DATABASE_URL", "postgres://user:password@host:5432/database"),
    ["postgres:", "postgresql:"],
    "postgres://user:password@host:5432/database",
  );
  const adhocDatabaseUrl = database("ADHOC_DATABASE_URL");
  const rootDatabaseUrl = database("ROOT_DATABASE_URL");
  const shadowDatabaseUrl = database("SHADOW_DATABASE_URL");

  return {
    databaseUrl,
    kafka: { brokers, ssl: flag("KAFKA_SSL", "off"), ...(sasl && { sasl }) },
    ingestTopic: topic("INGEST_TOPIC", "stacklens-analytics"),
    alertTopic: topic("ALERT_TOPIC", "analytics-alerts"),
    ingestGroup: topic("INGEST_GROUP", "stacklens-ingest"),
    host: text("HOST") ?? "127.0.0.1",
    port,
    logLevel: oneOf("LOG_LEVEL", ["debug", "info", "warn", "error"] as const, "info"),
    corsOrigins: (text("CORS_ORIGINS") ?? "")
      .split(",")
      .map((origin) => origin.trim())
      .filter(Boolean),
    selfEvents: flag("SELF_EVENTS", "on"),
    ...(adhocDatabaseUrl && { adhocDatabaseUrl }),
    ...(jwtSecret && { jwtSecret }),
    ...(jwksUrl && { jwksUrl }),
    ...(jwtIssuer && { jwtIssuer }),
    ...(jwtAudience && { jwtAudience }),
    production,
    ide: flag("GRAPHQL_IDE", production ? "off" : "on"),
    introspection: flag("GRAPHQL_INTROSPECTION", production ? "off" : "on"),
    requestsPerClient,
    trustProxy: flag("TRUST_PROXY", "off"),
    ...(rootDatabaseUrl && { rootDatabaseUrl }),
    ...(shadowDatabaseUrl && { shadowDatabaseUrl }),
  };
}
