// Reads files once to know their times and what cannot be read, says so, and then sends them; a stream is sent as it comes.

import type { Config } from "../../src/config.ts";
import type { Input } from "./input.ts";
import { message, type Reading } from "./line.ts";
import { count, showProgress } from "./progress.ts";
import { intoLast, refused } from "./time.ts";
import { openTopic, type Topic } from "./topic.ts";
import { Unreadable } from "./unreadable.ts";
import { UsageError } from "./usage-error.ts";

type Job = {
  config: Config;
  inputs: Input[];
  read: (line: string) => Reading | string;
  intoLast: number | undefined;
  signal: AbortSignal;
};

type Survey = { readable: number; first: number; last: number; newestOld: number; old: number; new: number };

/** Answers the exit status: 0, 1 if lines could not be read, 130 if interrupted in the middle of a file. */
export async function publish(job: Job): Promise<number> {
  const stream = job.inputs.find((input) => input.size === undefined);
  if (stream && job.intoLast !== undefined)
    throw new UsageError(
      `--into-last needs the time of the last line, and ${stream.name} has none yet: save it to a file first`,
    );
  const topic = await openTopic(job.config);
  try {
    const unreadable = new Unreadable();
    let toSend: number | undefined;
    let place = (time: number) => time;
    if (!stream) {
      const survey = await takeSurvey(job, unreadable);
      if (job.intoLast !== undefined) place = intoLast(survey.first, survey.last, job.intoLast, Date.now());
      toSend = survey.readable;
      unreadable.show();
      warn(survey, job.intoLast);
    }

    const began = performance.now();
    const sent = await send(job, topic, place, toSend, stream && unreadable);
    const seconds = (performance.now() - began) / 1000;
    if (stream) unreadable.show();
    const rate = sent > 0 ? `, ${count(sent / seconds)} a second` : "";
    process.stdout.write(
      `sent ${count(sent)} ${sent === 1 ? "event" : "events"} to ${job.config.ingestTopic} in ${seconds.toFixed(1)} s${rate}\n`,
    );
    if (!stream && job.signal.aborted) return 130;
    return unreadable.count > 0 ? 1 : 0;
  } finally {
    await topic.close();
  }
}

/** Reads the files without sending anything. */
async function takeSurvey(job: Job, unreadable: Unreadable): Promise<Survey> {
  const survey: Survey = {
    readable: 0,
    first: Number.POSITIVE_INFINITY,
    last: Number.NEGATIVE_INFINITY,
    newestOld: Number.NEGATIVE_INFINITY,
    old: 0,
    new: 0,
  };
  const now = Date.now();
  const progress = showProgress("reading", "bytes", total(job.inputs));
  let before = 0;
  for (const input of job.inputs) {
    for await (const { readings, bytes } of readAll(job, input, unreadable)) {
      for (const { time } of readings) {
        survey.first = Math.min(survey.first, time);
        survey.last = Math.max(survey.last, time);
        const side = refused(time, now);
        if (side) survey[side]++;
        if (side === "old") survey.newestOld = Math.max(survey.newestOld, time);
      }
      survey.readable += readings.length;
      progress.at(before + bytes);
    }
    before += input.size ?? 0;
  }
  progress.stop();
  return survey;
}

/** Sends all that can be read; answers how many events that were. `unreadable` collects what was not seen before. */
async function send(
  job: Job,
  topic: Topic,
  place: (time: number) => number,
  toSend: number | undefined,
  unreadable = new Unreadable(),
): Promise<number> {
  const progress = showProgress("sending", "events", toSend);
  let sent = 0;
  let warned = false;
  try {
    for (const input of job.inputs)
      for await (const { readings } of readAll(job, input, unreadable)) {
        if (toSend === undefined && !warned && readings.some(({ time }) => refused(time, Date.now()) === "old")) {
          warned = true;
          process.stderr.write(`${TOO_OLD}: save them to a file, and send that with --into-last 30m to move them\n`);
        }
        await topic.send(readings.map((reading) => message(reading, place(reading.time))));
        sent += readings.length;
        progress.at(sent);
      }
  } finally {
    progress.stop();
  }
  return sent;
}

async function* readAll(job: Job, input: Input, unreadable: Unreadable) {
  let number = 0;
  for await (const { lines, bytes } of input.lines(job.signal)) {
    const readings: Reading[] = [];
    for (const raw of lines) {
      const line = (number++ === 0 ? raw.replace(/^\ufeff/, "") : raw).trimEnd();
      if (line === "") continue;
      const reading = job.read(line);
      if (typeof reading === "string") unreadable.add(input.name, number, line, reading);
      else readings.push(reading);
    }
    yield { readings, bytes };
  }
}

const TOO_OLD = "there are lines from more than 1 day ago, which StackLens does not keep and will reject";

/** Says before sending what the ingester will not take. */
function warn(survey: Survey, length: number | undefined): void {
  const tell = (line: string) => process.stderr.write(`${line}\n`);
  const of = count(survey.readable);
  if (length === undefined && survey.old > 0)
    tell(
      `${count(survey.old)} of ${of} lines are from more than 1 day ago, which StackLens does not keep and will reject ` +
        `(the last is from ${new Date(survey.newestOld).toISOString()}): send with --into-last 30m to move them`,
    );
  if (length === undefined && survey.new > 0)
    tell(`${count(survey.new)} of ${of} lines are in the future and will be rejected: is the log's time zone right?`);
  if (length !== undefined && refused(Date.now() - length, Date.now()))
    tell("--into-last reaches back more than 1 day, which StackLens does not keep: what falls there will be rejected");
}

function total(inputs: Input[]): number {
  return inputs.reduce((sum, input) => sum + (input.size ?? 0), 0);
}
