// Java, and Kafka's jars: Maven resolves them once from pom.xml into .local/kafka-jars, under a name made from the pom's content.

import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { LocalError } from "../error.ts";
import { endWithParent } from "../guard.ts";

const POM = fileURLToPath(new URL("./pom.xml", import.meta.url));
const CACHE = fileURLToPath(new URL("../../.local/kafka-jars/", import.meta.url));
const NEEDED_JAVA = 17; // Kafka 4's brokers
const OTHERWISE = "or set KAFKA_BROKERS to a Kafka that runs already";

/** The Java program to use: JAVA_HOME's, else the one on the PATH. */
export async function java(): Promise<string> {
  const program = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, "bin", "java") : "java";
  const found = await promisify(execFile)(program, ["-version"]).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) {
    const where = process.env.JAVA_HOME
      ? `JAVA_HOME (${process.env.JAVA_HOME}) has no working bin/java`
      : "there is no Java on the PATH";
    throw new LocalError(`${where}, and the local Kafka needs Java ${NEEDED_JAVA} or newer: install it, ${OTHERWISE}`);
  }
  const version = /version "(\d+)(?:\.(\d+))?/.exec(found.stderr);
  const major = Number(version?.[1] === "1" ? version[2] : version?.[1]); // up to 8 it called itself 1.x
  if (major < NEEDED_JAVA)
    throw new LocalError(
      `Java is version ${major}, and the local Kafka needs ${NEEDED_JAVA} or newer: install it, ${OTHERWISE}`,
    );
  return program;
}

/** Flags for a broker that starts in 2 s and stays under 400 MB. */
export function javaFlags(jars: string): string[] {
  return [
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-cp",
    join(jars, "*"),
  ];
}

/** The folder with Kafka's jars; has Maven fetch them if this pom.xml's are not there yet (20 s, 45 MB, some 460 files). */
export async function kafkaJars(onProgress: (message: string) => void): Promise<string> {
  const name = createHash("sha256").update(readFileSync(POM)).digest("hex").slice(0, 12);
  const folder = join(CACHE, name);
  if (existsSync(folder)) return folder;

  // Maven fills a folder of this process's own; the rename makes it valid at once and as a whole.
  const fresh = `${folder}.${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(CACHE, { recursive: true });
  await copyJars(fresh, onProgress);
  if (existsSync(folder)) rmSync(fresh, { recursive: true });
  else renameSync(fresh, folder);
  return folder;
}

async function copyJars(folder: string, onProgress: (message: string) => void): Promise<void> {
  onProgress("fetching Kafka's jars with Maven, this once");
  const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${folder}`];
  const maven = spawn("mvn", ["-B", "-f", POM, ...goal], {
    stdio: ["ignore", "pipe", "ignore"], // -B still writes colour codes to standard error
    env: { MAVEN_OPTS: "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", ...process.env },
  });
  endWithParent(maven);
  const ended = new Promise<number | NodeJS.ErrnoException | null>((resolve) => {
    maven.once("error", resolve);
    maven.once("exit", resolve);
  });

  const problems: string[] = [];
  let downloads = 0;
  let told = Date.now();
  for await (const line of createInterface({ input: maven.stdout })) {
    if (line.startsWith("[ERROR]")) problems.push(line.slice("[ERROR]".length).trim());
    if (!line.includes("Downloaded from")) continue;
    downloads++;
    if (Date.now() - told < 3_000) continue;
    told = Date.now();
    onProgress(`fetching Kafka's jars: ${downloads} files so far`);
  }

  const result = await ended;
  if (result === 0) return;
  rmSync(folder, { recursive: true, force: true });
  if (result instanceof Error)
    throw new LocalError(
      `there is no Maven (mvn) on the PATH, which fetches the local Kafka: install it, ${OTHERWISE}`,
    );
  throw new LocalError(
    `Maven could not fetch Kafka: ${problems[0] ?? `mvn ended with status ${result}`} (is the network there?); ${OTHERWISE}`,
  );
}
