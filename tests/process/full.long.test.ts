/**
 * Disks without room: the gateway's folder, and Postgres' own. What cannot be stored is refused with UNAVAILABLE, which says
 * where, nothing is half there, and all goes on once there is room. Real processes.
 */
import { chmod, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { SteplogClient } from "../../client/index.ts";
import { type ErrorCode, SteplogError } from "../../schema/errors.ts";
import { startEmbeddedPostgres } from "../../store/postgres/embedded.ts";
import { scratch } from "../support/models.ts";
import { firstTry } from "../support/first-try.ts";
import { smallDisk, whyNoDisk } from "../support/small-disk.ts";
import { collectSteps, expectEveryStepOnce, expectRebuilt } from "./follow.ts";
import { createRun, testService, until } from "./service.ts";

const skipped = whyNoDisk === null ? "" : ` (skipped: ${whyNoDisk})`;

describe.skipIf(whyNoDisk !== null)(`without room${skipped}`, () => {
  test("uploads are refused whole, and succeed when there is room", { ...firstTry, timeout: 60_000 }, async () => {
    const service = await testService();
    const folder = join(await scratch(), "data");
    const disk = await smallDisk(folder, "size=128k");
    const { client, url } = await service.startServer(0, { STEPLOG_DATA: folder });
    const words = "word ".repeat(40);
    const rows = Array.from({ length: 1_500 }, (_, n) => ({ prompt: `${n} ${words}`, completion: "b" }));
    const body = rows.map((row) => JSON.stringify(row)).join("\n");
    const ways = {
      mutation: async () => (await client.createDataset({ name: "rows", rows })).id,
      async post() {
        const answer = await fetch(`${url}/datasets?name=rows`, { method: "POST", body });
        const { id, errors } = (await answer.json()) as { id?: string } & Refused;
        if (id === undefined) throw refusal(errors);
        return id;
      },
      async tus() {
        const headers = { "tus-resumable": "1.0.0" };
        const created = await fetch(`${url}/uploads`, {
          method: "POST",
          headers: { ...headers, "upload-length": String(body.length) },
        });
        const offset = { "content-type": "application/offset+octet-stream", "upload-offset": "0" };
        const to = created.headers.get("location") ?? "";
        const sent = await fetch(to, { method: "PATCH", headers: { ...headers, ...offset }, body });
        if (sent.status === 204) return to;
        throw refusal(((await sent.json()) as Refused).errors);
      },
    };
    const full = { code: "UNAVAILABLE", message: expect.stringMatching(/has no room left/u) as string };
    for (const way of Object.values(ways)) await expect(way()).rejects.toMatchObject(full);
    expect(await readdir(join(folder, "storage", "incoming")).catch(() => [])).toEqual([]);
    await disk.remount("size=16m");
    for (const way of Object.values(ways)) expect(await way()).not.toBe("");
  });

  test(
    "of Postgres, runs wait and go on, and log and weights are those of a run alone",
    { ...firstTry, timeout: 120_000 },
    async () => {
      const dataDir = join(await scratch(), "postgres");
      await smallDisk(dataDir, "size=400m,mode=755");
      await chmod(join(dataDir, ".."), 0o755);
      let server = await startEmbeddedPostgres({ dataDir });
      onTestFinished(() => server.stop());
      const service = await testService(server.url);
      const [{ client }] = await Promise.all([service.startServer(), service.startWorker()]);
      const steps = 500;
      const alone = await createRun(service, client, steps);
      await until("the run alone", 60_000, async () => (await client.fineTune(alone)).status === "SUCCEEDED");
      const expected = await expectRebuilt(service, client, alone, steps);

      const id = await createRun(service, client, steps);
      const { seen, done } = collectSteps(client, id);
      await until("the first steps", 30_000, () => seen.length > 20);
      await fill(join(dataDir, "filler"));
      expect(await firstRefusal(client)).toMatchObject({ code: "UNAVAILABLE" });
      await rm(join(dataDir, "filler"));
      // If it ended, somebody starts it again.
      server = await startEmbeddedPostgres({ dataDir });
      await done;
      expectEveryStepOnce(seen, steps);
      expect(await expectRebuilt(service, client, id, steps)).toBe(expected);
    },
  );
});

interface Refused {
  readonly errors?: readonly { readonly message: string; readonly extensions: { readonly code: ErrorCode } }[];
}

function refusal(errors: Refused["errors"]): SteplogError {
  const [error] = errors ?? [];
  return new SteplogError(error?.extensions.code ?? "INTERNAL", error?.message ?? "no error");
}

/** What Postgres has set aside is used up first. */
async function firstRefusal(client: SteplogClient): Promise<unknown> {
  for (let n = 0; n < 400; n++) {
    const stored = client.createDataset({ name: "large", rows: rowsOf(n) });
    const error = await stored.then(
      () => null,
      (refused: unknown) => refused,
    );
    if (error !== null) return error;
  }
  return null;
}

const rowsOf = (n: number) => Array.from({ length: 50 }, (_, k) => ({ prompt: `${n} ${k}`, completion: "b" }));

/** Writes until there is no room. */
async function fill(path: string): Promise<void> {
  const file = await open(path, "w");
  const piece = Buffer.alloc(65_536);
  try {
    for (;;) await file.write(piece);
  } catch (error) {
    expect(error).toMatchObject({ code: "ENOSPC" });
  } finally {
    await file.close();
  }
}
