/**
 * A clock that a test sets while real processes run: what Date says in them and in their threads. What counts durations, such
 * as timers and performance.now, goes on, as it does when a machine's clock is set.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { until } from "../process/service.ts";
import { scratch } from "./models.ts";
import type { Running } from "./processes.ts";

export interface SettableClock {
  /** For processes that have this clock. */
  readonly env: Readonly<Record<string, string>>;
  /** Waits until the processes have it. @param aheadMs of the time that it is */
  set(aheadMs: number, of: readonly Running[]): Promise<void>;
}

const lookMs = 50;

export async function settableClock(): Promise<SettableClock> {
  const file = join(await scratch(), "clock");
  await writeFile(file, "0");
  return {
    env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(programOf(file))}` },
    async set(aheadMs, of) {
      const heard = of.map((running) => nextClock(running));
      await writeFile(file, String(aheadMs));
      await Promise.all(heard.map((clock) => until("the clock to be set", 30_000, () => clock() === aheadMs)));
    },
  };
}

function nextClock({ child }: Running): () => number | null {
  let clock: number | null = null;
  const hear = (message: object) => {
    if ("clock" in message) clock = Number(message.clock);
  };
  child.on("message", hear);
  onTestFinished(() => void child.off("message", hear));
  return () => clock;
}

/** Of processes and threads, before anything else is loaded. Sandboxes have other messages, so only the command tells. */
function programOf(file: string): string {
  return `
    import { readFileSync } from "node:fs";
    import { isMainThread } from "node:worker_threads";
    const Real = Date;
    let ahead = 0;
    const now = () => Real.now() + ahead;
    globalThis.Date = new Proxy(Real, {
      construct: (target, values, made) => Reflect.construct(target, values.length === 0 ? [now()] : values, made),
      apply: () => new Real(now()).toString(),
      get: (target, key) => (key === "now" ? now : Reflect.get(target, key)),
    });
    const tells = isMainThread && process.argv[1]?.endsWith("steplog.js");
    const look = () => {
      const read = Number(readFileSync(${JSON.stringify(file)}, "utf8") || ahead);
      if (read === ahead) return;
      ahead = read;
      if (tells) process.send?.({ clock: ahead });
    };
    setInterval(() => { try { look(); } catch {} }, ${lookMs}).unref();`;
}
