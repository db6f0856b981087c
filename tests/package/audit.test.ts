/** scripts/audit.js, with npm's own client and a registry that knows advisories, knows none, or does not answer. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packagePath } from "../../schema/package.ts";

/** What a registry says of the one package there is. */
const packument = { name: "ws", versions: { "8.0.0": { name: "ws", version: "8.0.0" } } };

const run = promisify(execFile);

let folder: string;
let registry: Server;
let answer: { status: number; body: object };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "steplog-audit-"));
  const dependencies = { ws: "8.0.0" };
  const packages = { "": { name: "audited", version: "1.0.0", dependencies }, "node_modules/ws": { version: "8.0.0" } };
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "audited", version: "1.0.0", dependencies }));
  await writeFile(
    join(folder, "package-lock.json"),
    JSON.stringify({ name: "audited", version: "1.0.0", lockfileVersion: 3, packages }),
  );
  registry = createServer((request, response) => {
    request.resume();
    const isAudit = request.url === "/-/npm/v1/security/advisories/bulk";
    response.writeHead(isAudit ? answer.status : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(isAudit ? answer.body : packument));
  }).listen(0, "127.0.0.1");
  await once(registry, "listening");
});
afterAll(async () => {
  registry.close();
  await rm(folder, { recursive: true, force: true });
});

interface Audited {
  readonly code: number;
  readonly stdout: string;
  readonly unanswered: string | null;
}

async function audit(status: number, body: object): Promise<Audited> {
  answer = { status, body };
  const file = join(folder, "unanswered");
  await rm(file, { force: true });
  const { port } = registry.address() as AddressInfo;
  const env = {
    ...process.env,
    npm_config_registry: `http://127.0.0.1:${port}/`,
    npm_config_fetch_retries: "0",
    // It keeps advisories by their number.
    npm_config_cache: join(folder, "cache"),
  };
  const args = [packagePath("scripts/audit.js"), file];
  const ended = await run(process.execPath, args, { cwd: folder, env }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (error: unknown) => error as { readonly code: number; readonly stdout: string },
  );
  return { code: ended.code, stdout: ended.stdout, unanswered: await readFile(file, "utf8").catch(() => null) };
}

const advisory = (severity: string, id: number) => ({
  ws: [{ id, url: "https://example.org/1", title: "ends the process", severity, vulnerable_versions: "<9" }],
});

test("an advisory of severity high ends it with exit code 1, and is named", async () => {
  const { code, stdout, unanswered } = await audit(200, advisory("high", 1));
  expect([code, unanswered]).toEqual([1, null]);
  expect(stdout).toContain("high: ws *: ends the process (https://example.org/1)");
});

test("one of severity moderate is counted only", async () => {
  expect(await audit(200, advisory("moderate", 2))).toMatchObject({ code: 0, unanswered: null });
  const { stdout } = await audit(200, {});
  expect(stdout).toContain("0 critical, 0 high, 0 moderate");
});

test("a registry that does not answer is told, and is no failure", async () => {
  const { code, stdout, unanswered } = await audit(405, {});
  expect(code).toBe(0);
  expect(stdout).toMatch(/^NOT AUDITED: 405 Method Not Allowed/u);
  expect(unanswered).toMatch(/^405 Method Not Allowed/u);
});
