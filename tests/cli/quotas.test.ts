/** Quotas of a project on the command line, by the service and by the database. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { testServer, type TestServer } from "../server/harness.ts";
import { steplogHere } from "../support/command.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
}, 60_000);
afterAll(() => server.dispose());

const set = (where: "service" | "database", ...args: string[]) =>
  steplogHere(["projects", "set", ...args, "--url", server.url], {
    DATABASE_URL: where === "database" ? server.databaseUrl : "",
  });

test.each(["service", "database"] as const)("by the %s, some are set, and others stay", async (where) => {
  const first = await set(where, "--quota", "steps-a-month=1000", "--quota", "bytes=5e9");
  expect(first).toMatchObject({ code: 0, stdout: expect.stringContaining("bytes: 5000000000\n") as string });
  expect(first.stdout).toContain("tokens-a-month: no limit\n");
  expect(first.stdout).not.toContain("datasets:");
  const both = await set(where, "--quota", "bytes=none", "--keep", "datasets=1d", "--json");
  expect(JSON.parse(both.stdout)).toEqual({ keep: { DATASET: 86_400 }, quotas: { stepsAMonth: 1_000 } });
  expect(await server.ask("{ quotas { name limit } }")).toEqual({ quotas: [{ name: "STEPS_A_MONTH", limit: 1_000 }] });
});

test("what is none, and nothing, are refused with what there is", async () => {
  for (const quota of ["steps=1", "bytes=-1", "bytes"])
    expect(await set("service", "--quota", quota)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("Give one of bytes, concurrent-runs") as string,
    });
  expect((await set("service")).stderr).toContain("Say what to set: --keep KIND=TIME or --quota NAME=LIMIT.");
});
