/**
 * A run watched on the terminal until it has ended. Steps, events and states come as they happen; what comes with neither,
 * such as evaluations and why the run waits, is read every two seconds.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { FineTune, FineTuneUpdate, SteplogClient } from "../../client/index.ts";
import { isNote, type Ended } from "../follow.ts";
import { watchedChart, watchedRun } from "../operations.ts";
import { print } from "../output.ts";
import { drawsUnicode, type Size, sizeOf } from "../terminal.ts";
import { Losses, mostPoints } from "./losses.ts";
import { Screen } from "./screen.ts";
import { type Watched, type WatchedRun, viewOf } from "./view.ts";
import { runGone } from "../short-ids.ts";

/** How often the page is drawn, if anything has changed. */
const drawMs = 250;
const readMs = 2_000;

/** Draws the run on stdout, a terminal, until it ends. During an outage it says so, and keeps trying. */
export async function watchRun(client: SteplogClient, { id }: FineTune): Promise<Ended> {
  const state = await Watching.open(client, id);
  const view = (size: Size) => viewOf(state.now(), size, drawsUnicode());
  const screen = new Screen(process.stdout, view);
  const drawing = setInterval(screen.draw, drawMs);
  const ended = new AbortController();
  const reading = state.keepReading(ended.signal);
  try {
    const onLive = (live: boolean) => state.connection(live);
    const after = { step: state.lastStep };
    for await (const update of client.follow(id, { after, patienceMs: Infinity, onLive })) state.take(update);
  } finally {
    ended.abort();
    await reading;
    clearInterval(drawing);
    screen.close();
  }
  await state.read();
  // What was on the page last stays on the terminal.
  for (const line of view({ ...sizeOf(process.stdout), rows: lastRows })) print(line);
  return { outcome: await client.fineTune(id), notes: state.notes };
}

const lastRows = 20;

class Watching {
  readonly notes: string[] = [];
  readonly #client: SteplogClient;
  readonly #losses = new Losses();
  #run: WatchedRun;
  #happened: string | null = null;
  #lostAt: number | null = null;
  lastStep = 0;

  static async open(client: SteplogClient, id: string): Promise<Watching> {
    const state = new Watching(client, await readRun(client, id));
    const { fineTune } = await client.query(watchedChart, { id, points: mostPoints });
    for (const { step, count, loss } of fineTune?.chart ?? []) state.#addStep(step, loss, count);
    return state;
  }

  private constructor(client: SteplogClient, run: WatchedRun) {
    [this.#client, this.#run] = [client, run];
  }

  #addStep(step: number, loss: number | null, count?: number): void {
    this.#losses.add(step, loss, count);
    this.lastStep = step;
  }

  take(update: FineTuneUpdate): void {
    if (update.type === "step") this.#addStep(update.step.step, update.step.loss);
    if (update.type === "status") this.#run = { ...this.#run, ...update.fineTune };
    if (update.type !== "event") return;
    this.#happened = update.event.message;
    if (isNote(update.event)) this.notes.push(update.event.message);
  }

  connection(live: boolean): void {
    this.#lostAt = live ? null : (this.#lostAt ?? performance.now());
  }

  now(): Watched {
    const lostForS = this.#lostAt === null ? null : (performance.now() - this.#lostAt) / 1_000;
    return { run: this.#run, losses: this.#losses.points(), happened: this.#happened, lostForS };
  }

  async read(): Promise<void> {
    this.#run = await readRun(this.#client, this.#run.id);
  }

  /** If the service does not answer, the streams say so. */
  async keepReading(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(readMs, undefined, { signal }).catch(() => {});
      if (!signal.aborted) await this.read().catch(() => {});
    }
  }
}

async function readRun(client: SteplogClient, id: string): Promise<WatchedRun> {
  const { fineTune } = await client.query(watchedRun, { id });
  if (fineTune) return fineTune;
  throw runGone(id);
}
