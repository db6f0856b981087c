/** What doctor looks at of devices: whether the native one opens, by which instructions it computes, and TensorFlow. */
import { spawnSync } from "node:child_process";
import { devNull } from "node:os";
import { listInstalled } from "../../devices/folders.ts";
import { type Answer, tryInProcess } from "../../devices/trial.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const surroundings = (signal: AbortSignal) => ({ env: process.env, log: devNull, signal });

export async function native(devicesDir: string, signal: AbortSignal): Promise<Finding> {
  return nativeOpens(await tryInProcess({ device: "native", devicesDir }, surroundings(signal)), compilerVersion());
}

/** @param built the compiler that could build it; null for none */
export function nativeOpens(answer: Answer, built: string | null): Finding {
  if (answer.opens) return ok("native", answer.description);
  const mend =
    built === null
      ? "Install a C++ compiler, make and Python, then: npm rebuild steplog. Until then, runs train slowly on the plain device."
      : `Build it (${built} is there): npm rebuild steplog, in a clone npm run build:native`;
  return fail("native", `The native device does not open: ${answer.why}`, mend);
}

/** What builds the addon. Needed only where none came with the package. */
export function compiler(has: (program: string) => boolean = isThere): Finding {
  const lacking = ["c++", "make", "python3"].filter((program) => !has(program));
  if (lacking.length === 0) return ok("compiler", `${compilerVersion() ?? "c++"}, make and python3`);
  const mend = "Needed only to build the native device where the package brings none: install g++, make and python3.";
  return warn("compiler", `There is no ${lacking.join(", no ")} here.`, mend);
}

const isThere = (program: string) => spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;

function compilerVersion(): string | null {
  const { status, stdout } = spawnSync("c++", ["--version"], { encoding: "utf8" });
  return status === 0 ? (stdout.split("\n")[0]?.trim() ?? null) : null;
}

export async function tensorflow(devicesDir: string, signal: AbortSignal): Promise<Finding> {
  const installed = await listInstalled(devicesDir);
  if (installed.length === 0)
    return ok("tensorflow", "not installed (for an NVIDIA GPU: steplog device install tfjs-gpu)");
  const names = installed.map(({ name }) => name);
  return tensorflowOpens(await tryInProcess({ device: "tfjs-tensorflow", devicesDir }, surroundings(signal)), names);
}

export function tensorflowOpens(answer: Answer, installed: readonly string[]): Finding {
  if (answer.opens) return ok("tensorflow", answer.description);
  const message = `Installed (${installed.join(", ")}), but it does not open: ${answer.why}`;
  return fail("tensorflow", message, "Install it anew: steplog device install NAME --force");
}
