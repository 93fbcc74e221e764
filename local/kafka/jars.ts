// Kafka's jars: Maven resolves them once from pom.xml into .local/kafka-jars, under a name made from the pom's content.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { LocalError } from "../error.ts";
import { endWithParent } from "../guard.ts";
import { OTHERWISE } from "./java.ts";

const POM = fileURLToPath(new URL("./pom.xml", import.meta.url));
const CACHE = fileURLToPath(new URL("../../.local/kafka-jars/", import.meta.url));

/** The folder with Kafka's jars; has Maven fetch them if this pom.xml's are not there yet (20 s, 45 MB, some 460 files). */
export async function kafkaJars(onProgress: (message: string) => void, cache = CACHE): Promise<string> {
  const name = createHash("sha256").update(readFileSync(POM)).digest("hex").slice(0, 12);
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;

  // Maven fills a folder of this process's own; the rename makes it valid at once and as a whole.
  const fresh = `${folder}.${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
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
