/** A folder's refusal is kept while its files are the same, and tried again after a while: what refused it may be over. */
import { afterEach, expect, test, vi } from "vitest";
import { FolderChecks } from "../../models/folder-checks.ts";
import { Sandbox } from "../../sandbox/sandbox.ts";
import type { Task } from "../../sandbox/messages.ts";
import { SteplogError } from "../../schema/errors.ts";
import { randomModel } from "../support/models.ts";

afterEach(() => void vi.useRealTimers());

/** Its process is killed as often as it is told. */
class KilledSandbox extends Sandbox {
  calls = 0;
  readonly #killed: number;
  constructor(killed: number) {
    super();
    this.#killed = killed;
  }
  override run<T extends Task>(): Promise<Awaited<ReturnType<T>>> {
    this.calls += 1;
    if (this.calls <= this.#killed) return Promise.reject(new SteplogError("MODEL_INVALID", "given up (SIGKILL)"));
    return Promise.resolve({} as Awaited<ReturnType<T>>);
  }
}

test("a refusal is tried again after its time, and each further one after twice as long", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const sandbox = new KilledSandbox(2);
  const checks = new FolderChecks(sandbox, 1_000);
  const path = await randomModel();
  const refused = () => expect(checks.open(path)).rejects.toMatchObject({ code: "MODEL_INVALID" });
  await refused();
  vi.setSystemTime(Date.now() + 999);
  await refused();
  expect(sandbox.calls).toBe(1);
  vi.setSystemTime(Date.now() + 1);
  await refused();
  expect(sandbox.calls).toBe(2);
  vi.setSystemTime(Date.now() + 1_999);
  await refused();
  expect(sandbox.calls).toBe(2);
  vi.setSystemTime(Date.now() + 1);
  const { folder } = await checks.open(path);
  expect(folder.path).toBe(path);
  expect(sandbox.calls).toBe(3);
});

test("what was opened is not tried again", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const sandbox = new KilledSandbox(0);
  const checks = new FolderChecks(sandbox, 1_000);
  const path = await randomModel();
  await checks.open(path);
  vi.setSystemTime(Date.now() + 10_000_000);
  await checks.open(path);
  expect(sandbox.calls).toBe(1);
});
