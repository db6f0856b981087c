/** What doctor says: each line as it would be where something is wrong, and the command as it is here. */
import { writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { compiler, nativeOpens, tensorflowOpens } from "../../cli/doctor/devices.ts";
import { disksRoom, fileLimit, memoryForModels, nodeVersion, portFree, roomIn } from "../../cli/doctor/machine.ts";
import { clock, migrations, postgres, service } from "../../cli/doctor/service.ts";
import { version } from "../../schema/package.ts";
import { databaseHealth } from "../../store/store.ts";
import { testServer } from "../server/harness.ts";
import { steplogHere } from "../support/command.ts";
import { golden, scratch } from "../support/models.ts";
import { testStore } from "../support/postgres.ts";

test("Node.js has to be 20.20 or later", () => {
  expect(["18.20.1", "20.19.9", "20.20.0", "24.1.0"].map((version) => nodeVersion(version).status)).toEqual([
    "fail",
    "fail",
    "ok",
    "ok",
  ]);
});

test("little room on the disk is a warning, and none a failure", async () => {
  expect([5e8, 5e9, 5e10].map((free) => roomIn("/data", free).status)).toEqual(["fail", "warn", "ok"]);
  const folder = await scratch();
  const found = await disksRoom([join(folder, "not/yet/made"), folder, "/proc"]);
  expect(found).toHaveLength(2);
  expect(found[0]?.message).toMatch(new RegExp(`free on the disk of ${folder}$`, "u"));
});

test("few open files are a warning", async () => {
  const file = join(await scratch(), "limits");
  const statusOf = async (soft: string) => {
    await writeFile(file, `Max processes 100 100 processes\nMax open files            ${soft}     65536     files\n`);
    return (await fileLimit(file)).status;
  };
  expect([await statusOf("1024"), await statusOf("65536"), await statusOf("unlimited")]).toEqual(["warn", "ok", "ok"]);
  expect((await fileLimit("/no/such/file")).status).toBe("ok");
});

test("a model larger than the memory is a warning that names it", async () => {
  const models = golden("hf");
  expect(await memoryForModels(models, 1_000)).toMatchObject({
    status: "warn",
    message: expect.stringMatching(/^1\.0 kB; the largest of \d+ models, \S+, has /u) as string,
  });
  expect((await memoryForModels(models, 1e12)).status).toBe("ok");
  expect((await memoryForModels(join(await scratch(), "none"), 1e12)).message).toContain("there are no models");
});

test("a port that something else has is a failure", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => void other.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void other.close());
  const address = other.address();
  const port = typeof address === "object" && address ? address.port : expect.unreachable("it listens");
  expect(await portFree("127.0.0.1", port, false)).toMatchObject({
    status: "fail",
    message: expect.stringContaining("EADDRINUSE") as string,
  });
  expect((await portFree("127.0.0.1", port, true)).status).toBe("ok");
});

describe("Postgres", () => {
  test("tells its version, its migrations and its clock", async () => {
    const database = await testStore();
    onTestFinished(() => database.drop());
    const health = await databaseHealth(database.url);
    expect(health.version).toMatch(/^\d+/u);
    expect(health.applied).toBe(health.known);
    const found = await postgres({ databaseUrl: database.url, directUrl: undefined });
    expect(found.map(({ name, status }) => `${name} ${status}`)).toEqual(["postgres ok", "tables ok", "clocks ok"]);
  });

  test("that nobody answers for is a failure with what to do", async () => {
    const [found] = await postgres({ databaseUrl: "postgres://x@127.0.0.1:9/x", directUrl: undefined });
    expect(found).toMatchObject({ status: "fail", mend: expect.stringContaining("DATABASE_URL") as string });
  });

  test("older and newer tables, and clocks that are apart, are warnings", () => {
    expect(migrations({ applied: 3, known: 5 }).mend).toContain("steplog migrate");
    expect(migrations({ applied: 6, known: 5 }).mend).toContain("newer release");
    const now = new Date(1_000_000);
    expect(clock("the database", { now, askedMs: 1 }, 1_001_000).status).toBe("ok");
    expect(clock("the database", { now, askedMs: 1 }, 1_065_000).message).toContain(
      "1m 05s ahead of that of the database",
    );
    expect(clock("the database", { now, askedMs: 1 }, 900_000).message).toContain("1m 40s behind");
  });
});

test("a compiler without what else builds the addon is a warning that names it", () => {
  expect(compiler(() => true).status).toBe("ok");
  expect(compiler((program) => program === "c++").message).toBe("There is no make, no python3 here.");
});

test("without DATABASE_URL, the Postgres that start runs is told", async () => {
  const [found] = await postgres({ databaseUrl: null, directUrl: undefined });
  expect(found).toMatchObject({ status: "ok", message: expect.stringMatching(/runs Postgres \d+\.\d/u) as string });
});

describe("a service", () => {
  test("has its port by right, also where it refuses the key", async () => {
    const server = await testServer();
    onTestFinished(() => server.dispose());
    const env = { STEPLOG_DATA: await scratch(), PORT: new URL(server.url).port };
    expect(await statuses(server.url, env)).toMatchObject({ service: "ok", port: "ok", clocks: "ok" });
    const query = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key } }";
    await server.ask(query, { input: { name: "first", scopes: ["ADMIN"] } });
    // A gateway hears of the first key in a moment.
    await expect.poll(() => statuses(server.url, env)).toMatchObject({ service: "warn", port: "ok", clocks: "ok" });
  });

  test("whose clock is another's is a warning", async () => {
    const ahead = createHttpServer((_, response) => {
      response.setHeader("date", new Date(Date.now() + 3_600_000).toUTCString());
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ data: { service: { version } } }));
    });
    await new Promise<void>((resolve) => void ahead.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void ahead.close());
    const { port } = ahead.address() as AddressInfo;
    const { findings } = await service(`http://127.0.0.1:${port}`);
    expect(findings.at(-1)).toMatchObject({ name: "clocks", status: "warn" });
    expect(findings.at(-1)?.message).toMatch(
      /^This machine's clock is (?:1h 00m|59m).* behind that of the service\.$/u,
    );
  });
});

const broken = { opens: false, why: "libx.so is not there" } as const;
const now = new Date(1_000_000);
const away = { databaseUrl: "postgres://x@127.0.0.1:9/x", directUrl: undefined };

/** Each with what is wrong, and with what mends it. */
test.each([
  [
    "an old Node.js",
    () => nodeVersion("18.1.0"),
    "fail",
    /^Node\.js 18\.1\.0 is too old\.$/u,
    /Install 20\.20 or later/u,
  ],
  [
    "no compiler",
    () => compiler(() => false),
    "warn",
    /no c\+\+, no make, no python3/u,
    /install g\+\+, make and python3/u,
  ],
  [
    "no native device",
    () => nativeOpens(broken, "g++ 12"),
    "fail",
    /libx\.so is not there/u,
    /g\+\+ 12 is there.*npm rebuild/u,
  ],
  [
    "nor a compiler for it",
    () => nativeOpens(broken, null),
    "fail",
    /libx\.so/u,
    /^Install a C\+\+ compiler, make and Python/u,
  ],
  [
    "a broken TensorFlow",
    () => tensorflowOpens(broken, ["tfjs-gpu"]),
    "fail",
    /\(tfjs-gpu\).*libx/u,
    /device install NAME --force/u,
  ],
  [
    "no Postgres",
    async () => (await postgres(away))[0],
    "fail",
    /^Postgres does not answer \(ECONNREFUSED\)/u,
    /DATABASE_URL/u,
  ],
  [
    "old tables",
    () => migrations({ applied: 1, known: 2 }),
    "warn",
    /older than this Steplog: 1 of 2/u,
    /steplog migrate/u,
  ],
  ["no room", () => roomIn("/data", 5e8), "fail", /^500\.0 MB free on the disk of \/data$/u, /STEPLOG_DATA/u],
  ["a wrong clock", () => clock("the database", { now, askedMs: 1 }, 2_000_000), "warn", /16m 40s ahead of/u, /NTP/u],
  [
    "an address of no machine here",
    () => portFree("192.0.2.1", 4000, false),
    "fail",
    /192\.0\.2\.1:4000 \(E/u,
    /--port NUMBER/u,
  ],
  [
    "no service",
    async () => (await service("http://127.0.0.1:9")).findings[0],
    "warn",
    /does not answer/u,
    /steplog start/u,
  ],
] as const)("%s: it says what is wrong, and what to do", async (_, find, status, message, mend) => {
  expect(await find()).toMatchObject({
    status,
    message: expect.stringMatching(message) as string,
    mend: expect.stringMatching(mend) as string,
  });
});

async function statuses(url: string, env: Record<string, string>): Promise<Record<string, string>> {
  const { stdout } = await steplogHere(["doctor", "--json", "--url", url], env);
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string }[] };
  return Object.fromEntries(checks.map(({ name, status }) => [name, status]));
}

test("the command prints a line each, and with --json the same; what fails gives exit code 1", async () => {
  const url = ["--url", "http://127.0.0.1:9"];
  const env = { DATABASE_URL: "postgres://x@127.0.0.1:9/x", STEPLOG_DATA: await scratch(), PORT: "0" };
  const { code, stdout } = await steplogHere(["doctor", "--json", ...url], env);
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; mend: string | null }[] };
  expect(code).toBe(1);
  expect(checks.map(({ name }) => name)).toEqual(
    "node compiler native tensorflow postgres service port disk files memory".split(" "),
  );
  expect(checks.find(({ name }) => name === "native")?.status).toBe("ok");
  expect(checks.every(({ status, mend }) => (status === "ok") === (mend === null))).toBe(true);
});
