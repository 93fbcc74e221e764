// Kafka's jars: Maven resolves them once from pom.xml into .local/kafka-jars, under a name made from the pom's content.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { reason } from "../../src/log.ts";
import { LocalError } from "../error.ts";
import { endWithParent } from "../guard.ts";
import { OTHERWISE } from "./java.ts";

const POM = fileURLToPath(new URL("./pom.xml", import.meta.url));
const CACHE = fileURLToPath(new URL("../../.local/kafka-jars/", import.meta.url));

/** The folder with Kafka's jars; has Maven fetch them if this pom.xml's are not there yet (20 s, 45 MB, some 460 files). */
export async function kafkaJars(onProgress: (message: string) => void, cache = CACHE): Promise<string> {
  const folder = folderIn(cache);
  if (existsSync(folder)) return folder;
  requireMaven(cache);

  // Maven fills a folder of this process's own; the rename makes it valid at once and as a whole.
  const fresh = `${folder}.${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  await copyJars(fresh, onProgress);
  if (existsSync(folder)) rmSync(fresh, { recursive: true });
  else renameSync(fresh, folder);
  return folder;
}

/** @throws LocalError if the jars are not there and neither is Maven. */
export function requireMaven(cache = CACHE): void {
  if (existsSync(folderIn(cache))) return;
  if (process.env.PATH?.split(delimiter).some((folder) => existsSync(join(folder, "mvn")))) return;
  throw new LocalError(`there is no Maven (mvn) on the PATH, which fetches the local Kafka: install it, ${OTHERWISE}`);
}

function folderIn(cache: string): string {
  return join(cache, createHash("sha256").update(readFileSync(POM)).digest("hex").slice(0, 12));
}

async function copyJars(folder: string, onProgress: (message: string) => void): Promise<void> {
  onProgress("fetching Kafka's jars with Maven, this once");
  const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${folder}`];
  const maven = spawn("mvn", ["-B", "-f", POM, ...goal], {
    stdio: ["ignore", "pipe", "ignore"], // -B still writes colour codes to standard error
    env: { MAVEN_OPTS: "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", ...process.env },
  });
  endWithParent(maven);
  const ended = once(maven, "exit").then(
    ([status]) => (status === 0 ? undefined : `mvn ended with status ${status}`),
    reason,
  );

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

  const problem = await ended;
  if (problem === undefined) return;
  rmSync(folder, { recursive: true, force: true });
  throw new LocalError(`Maven could not fetch Kafka: ${problems[0] ?? problem} (is the network there?); ${OTHERWISE}`);
}
