/** The steplog command in this process: its exit code and output, without half a second of starting a process. */
import { vi } from "vitest";
import { main } from "../../cli/main.ts";
import type { Finished } from "./processes.ts";
import { sharingSandbox } from "./sandbox.ts";

const signals = ["SIGINT", "SIGTERM", "disconnect"] as const;

/** Ends with the last call. */
let last: Promise<unknown> = Promise.resolve();

/**
 * A call waits for the one before, since they share the process: a command goes on after its test has timed out.
 * @param env variables for this call; one set to nothing counts as not set
 */
export async function steplogHere(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const call = last.then(() => callMain(args, env));
  last = call.catch(() => {});
  return call;
}

async function callMain(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Finished> {
  const printed = { stdout: "", stderr: "" };
  const [code, variables] = [process.exitCode, { ...process.env }];
  const heard = signals.map((name) => process.listeners(name as NodeJS.Signals));
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      printed[name] += String(text);
      return true;
    }),
  );
  try {
    process.exitCode = undefined;
    Object.assign(process.env, env);
    await sharingSandbox(() => main(args));
    return { ...printed, code: process.exitCode ?? 0 };
  } finally {
    process.exitCode = code;
    for (const name of Object.keys(env)) {
      if (variables[name] === undefined) delete process.env[name];
      else process.env[name] = variables[name];
    }
    spies.forEach((spy) => spy.mockRestore());
    signals.forEach((name, k) => forget(name, heard[k] ?? []));
  }
}

/** Takes off what a command listens to until its process ends. */
function forget(name: (typeof signals)[number], before: readonly unknown[]): void {
  for (const listener of process.listeners(name as NodeJS.Signals))
    if (!before.includes(listener)) process.off(name, listener as () => void);
}
