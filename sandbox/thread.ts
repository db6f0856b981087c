/** The thread of a sandbox that runs the function. */
import { pathToFileURL } from "node:url";
import { parentPort } from "node:worker_threads";
import { SteplogError, invariant } from "../schema/errors.ts";
import type { Blame, Outcome, Reporter, Task, ThreadCall, ThreadMessage } from "./messages.ts";
import { failedOf } from "./messages.ts";

const port = parentPort;
invariant(port, "thread.ts runs in a worker thread");
const send = (message: ThreadMessage) => port.postMessage(message);

port.on("message", (call: ThreadCall) => {
  void run(call).then(send);
});

async function run({ file, name, input, blame, counters }: ThreadCall): Promise<Outcome> {
  let current = blame;
  const reporter: Reporter = {
    begin: (next) => {
      current = next;
      Atomics.add(counters, 0, 1);
      send({ type: "begin", blame: next });
    },
    progress: (line = 0) => {
      Atomics.add(counters, 0, 1);
      Atomics.store(counters, 1, line);
    },
  };
  try {
    const module = (await import(pathToFileURL(file).href)) as Record<string, Task | undefined>;
    const task = module[name];
    invariant(task, `${file} exports ${name}`);
    reporter.progress();
    return { type: "done", output: await task(input as never, reporter) };
  } catch (error) {
    return failure(error, current);
  }
}

/** Libraries fail on bytes that nobody foresaw with any error: that is the fault of the bytes, not INTERNAL. */
function failure(error: unknown, { doing, ...blame }: Blame): Outcome {
  if (error instanceof SteplogError) {
    return { type: "failed", code: error.code, message: error.message, issues: error.issues };
  }
  const message = error instanceof Error ? error.message : String(error);
  const failed = (its: Pick<Blame, "code" | "advice">) => failedOf(its, `${doing} failed: ${message}.`);
  if (error instanceof Error && "syscall" in error) return failed({ code: "UNAVAILABLE" });
  return failed(message.startsWith("Invariant broken") ? { code: "INTERNAL" } : blame);
}
