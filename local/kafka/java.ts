// The Java that runs Kafka: which one, with which flags, and its archive of loaded classes.

import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { LocalError } from "../error.ts";

const NEEDED = 17; // by Kafka 4's brokers

/** What to do where the local Kafka cannot run. */
export const OTHERWISE = "or set KAFKA_BROKERS to a Kafka that runs already";

export type Java = { program: string; version: string };

/** The Java to use: JAVA_HOME's, else the one on the PATH. */
export async function findJava(): Promise<Java> {
  const home = process.env.JAVA_HOME;
  const program = home ? join(home, "bin", "java") : "java";
  const found = await promisify(execFile)(program, ["-version"]).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) {
    const where = home ? `JAVA_HOME (${home}) has no working bin/java` : "there is no Java on the PATH";
    throw new LocalError(`${where}, and the local Kafka needs Java ${NEEDED} or newer: install it, ${OTHERWISE}`);
  }
  const version = /version "([^"]+)"/.exec(found.stderr)?.[1] ?? "unknown";
  const major = Number(/^(?:1\.)?(\d+)/.exec(version)?.[1]); // up to 8 it called itself 1.8
  if (major < NEEDED)
    throw new LocalError(
      `Java is version ${major}, and the local Kafka needs ${NEEDED} or newer: install it, ${OTHERWISE}`,
    );
  return { program, version };
}

/** Flags for a broker that starts quickly and stays under 400 MB. */
export function javaFlags(jars: string): string[] {
  const classPath = readdirSync(jars)
    .filter((file) => file.endsWith(".jar"))
    .sort() // the class archive is valid for one order only
    .map((file) => join(jars, file));
  return [
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-cp",
    classPath.join(delimiter),
  ];
}

/**
 * Where the archive of the classes that a broker loads lies (application class-data sharing). With it a start takes 1.5 s of
 * processor time instead of 3.2; a Java that does not like it goes on without.
 */
export function classArchive(java: Java, jars: string): string {
  return join(jars, `classes-${java.version}.jsa`);
}
