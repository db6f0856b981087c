/** A gateway in a process of its own, whose processor time and memory can be read. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { SteplogError } from "../schema/errors.ts";
import { programPath } from "../schema/package.ts";

export interface Gateway {
  readonly url: string;
  cpuSeconds(): number;
  residentMb(): number;
  stop(): Promise<void>;
}

export async function startGateway(databaseUrl: string, folder: string): Promise<Gateway> {
  const own = { DATABASE_URL: databaseUrl, STEPLOG_DATA: folder, STEPLOG_LOG_LEVEL: "warn", PORT: "0" };
  const env = { ...process.env, ...own };
  const child = fork(programPath("cli/steplog"), ["server"], { env, stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const exited = once(child, "exit");
  const { url } = await heard(child, z.object({ type: z.literal("ready"), url: z.string() }));
  const proc = (file: string) => readFileSync(`/proc/${child.pid}/${file}`, "utf8");
  return {
    url,
    cpuSeconds: () => {
      // After the name in brackets: utime and stime are the 12th and 13th, in hundredths of a second.
      const fields = proc("stat")
        .replace(/^.*\) /u, "")
        .split(" ");
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
    residentMb: () => Number(/^VmRSS:\s+(\d+) kB/mu.exec(proc("status"))?.[1] ?? 0) / 1_000,
    stop: async () => {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** The next message of a process. @throws SteplogError INTERNAL if it ends first; it has said why */
export async function heard<Message>(child: ChildProcess, schema: z.ZodType<Message>): Promise<Message> {
  const over = new AbortController();
  const ended = once(child, "exit", { signal: over.signal }).then(() =>
    Promise.reject(new SteplogError("INTERNAL", "A process of the benchmark has ended.")),
  );
  ended.catch(() => {});
  try {
    const message = once(child, "message", { signal: over.signal });
    return schema.parse(((await Promise.race([message, ended])) as [unknown])[0]);
  } finally {
    over.abort();
  }
}
