/** The export of a project: everything that it has, without secrets, that reads back whole and tells when it does not. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeStepLog } from "../../schema/step-log.ts";
import { tarOf } from "../../store/archive/tar.ts";
import { type ArchiveFile, checkArchive, filesOfTar } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { directly } from "./fixtures.ts";
import { type Projects, twoProjects, word } from "./project-fixture.ts";

let fixture: TestStore;
let projects: Projects;
let tar: Buffer;
let folder: string;
beforeAll(async () => {
  fixture = await testStore();
  projects = await twoProjects(fixture);
  // More than one page.
  await directly(
    fixture.url,
    (sql) => sql`insert into events (fine_tune_id, sequence, type, message)
      select ${projects.run.id}, k, 'NOTE', 'event ' || k from generate_series(1001, 3500) k`,
  );
  tar = await bytesOf();
  folder = await mkdtemp(join(tmpdir(), "steplog-archive-"));
  await writeFile(join(folder, "project.tar"), tar, { mode: 0o600 });
  await promisify(execFile)("tar", ["-xf", "project.tar"], { cwd: folder });
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await fixture.drop();
});

async function bytesOf(weights = true): Promise<Buffer> {
  const { tar: pieces } = await projects.mine.administration.exportProject(projects.id, { weights });
  return concat(pieces);
}

async function concat(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

async function* inPieces(bytes: Buffer, size = 1_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function rowsOf(table: string): Promise<Record<string, unknown>[]> {
  const files: string[] = (await readdir(join(folder, table)).catch((): string[] => [])).toSorted();
  const texts = await Promise.all(files.map((name) => readFile(join(folder, table, name), "utf8")));
  return texts.flatMap((text) => text.trimEnd().split("\n")).map((line) => JSON.parse(line) as Record<string, unknown>);
}

test("has every row of the project, page after page, and none of another's", async () => {
  const counted = await directly(fixture.url, async (sql) => {
    const [row] = await sql<Record<string, number>[]>`select
      (select count(*)::int from events e join fine_tunes r on r.id = e.fine_tune_id where r.project_id = ${projects.id}) as events,
      (select count(*)::int from webhook_messages where project_id = ${projects.id}) as webhook_messages,
      (select count(*)::int from audit_entries where project_id = ${projects.id}) as audit_entries`;
    return row ?? {};
  });
  expect((await rowsOf("events")).length).toBe(counted["events"]);
  expect((await readdir(join(folder, "events"))).length).toBeGreaterThan(2);
  const events = (await rowsOf("events")).map(
    (row) => `${String(row["fine_tune_id"])} ${String(row["sequence"]).padStart(9)}`,
  );
  expect(events).toEqual(events.toSorted());
  expect(new Set(events).size).toBe(events.length);
  expect((await rowsOf("webhook_messages")).length).toBe(counted["webhook_messages"]);
  expect((await rowsOf("fine_tunes")).map(({ name }) => String(name)).toSorted()).toEqual([
    `${word} fork`,
    `${word} run`,
  ]);
  expect((await rowsOf("datasets")).map(({ name }) => String(name)).toSorted()).toEqual([
    "rows of both",
    `${word} rows`,
  ]);
  expect((await rowsOf("completion_pieces")).map(({ text }) => text)).toEqual([word]);
  expect((await rowsOf("aliases")).map(({ name }) => name)).toEqual([`${projects.id}/best`]);
  expect((await rowsOf("audit_entries")).at(-1)).toBeDefined();
  expect(await rowsOf("shares")).toHaveLength(3);
  const all = await Promise.all(
    (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile() && entry.name !== "project.tar")
      .map((entry) => readFile(join(entry.parentPath, entry.name), "utf8")),
  );
  expect(all.join("")).not.toMatch(/on shared rows|"forked"/u);
});

test("has no secrets", async () => {
  const hash = createHash("sha256").update(projects.key).digest("hex");
  for (const secret of [projects.key, hash, "whsec_"]) expect(tar.includes(secret)).toBe(false);
  expect(await rowsOf("api_keys")).toMatchObject([{ name: `${word} key` }]);
  expect((await rowsOf("webhook_endpoints"))[0]).not.toHaveProperty("secret");
});

test("has the whole log of each run, of a fork too, and the stored files by their hash", async () => {
  const bytes = async (id: string) => readFile(join(folder, "logs", `${id}.steplog`));
  expect(decodeStepLog(await bytes(projects.run.id)).entries.length).toBe(2);
  expect(decodeStepLog(await bytes(projects.fork.id)).entries.length).toBe(4);
  const blobs = (await readdir(join(folder, "blobs"))).toSorted();
  expect(blobs).toHaveLength(3);
  for (const name of blobs)
    expect(
      createHash("sha256")
        .update(await readFile(join(folder, "blobs", name)))
        .digest("hex"),
    ).toBe(name);
  const checked = await promisify(execFile)("sh", ["-c", "sha256sum --check --quiet SHA256SUMS-*"], { cwd: folder });
  expect(checked.stdout).toBe("");
});

test("leaves weights out on request, and tells of itself in the audit log", async () => {
  const without = await bytesOf(false);
  const report = await checkArchive(filesOfTar(inPieces(without)));
  const whole = await checkArchive(filesOfTar(inPieces(tar)));
  expect(whole).toMatchObject({ project: { id: projects.id, name: projects.name }, logs: 2 });
  expect(whole.files - report.files).toBe(1);
  expect(without.includes(`weights of ${word}`)).toBe(false);
  const [last] = await projects.mine.audit.list({ limit: 1 });
  expect(last).toMatchObject({ action: "project.exported", details: { weights: false } });
});

describe("reading it again", () => {
  const checked = (bytes: Buffer) => checkArchive(filesOfTar(inPieces(bytes, 777)));

  test("tells of a byte that changed, wherever it is", async () => {
    for (const text of [`${word} run`, `weights of ${word}`, "STEPLOG", "event 2000", '"sums"', "README"]) {
      const damaged = Buffer.from(tar);
      const at = damaged.indexOf(text);
      expect([text, at >= 0]).toEqual([text, true]);
      damaged[at + 1] = (damaged[at + 1] ?? 0) ^ 1;
      await expect(checked(damaged)).rejects.toThrow(/damaged|not a|STEPLOG|checksum|expected|invalid/iu);
    }
  });

  test("tells of an end that is missing, and of files that are", async () => {
    await expect(checked(tar.subarray(0, tar.length / 2))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    const without = async function* (name: string): AsyncGenerator<ArchiveFile> {
      for await (const file of filesOfTar(inPieces(tar))) {
        const content = await concat(file.content);
        if (!file.name.startsWith(name)) yield { ...file, content: [content] };
      }
    };
    await expect(checkArchive(without("manifest.json"))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    for (const name of ["logs/", "blobs/", "README.md", "SHA256SUMS-"])
      await expect(checkArchive(without(name))).rejects.toMatchObject({ code: "DATA_CORRUPT" });
  });

  test("takes names of an export only", async () => {
    const header = tar.subarray(0, 512);
    const evil = Buffer.from(header);
    evil.fill(0, 0, 100);
    evil.write("../evil");
    evil.fill(" ", 148, 156);
    const sum = evil.reduce((total, byte) => total + byte, 0);
    evil.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    await expect(checked(Buffer.concat([evil, tar.subarray(512)]))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

test("a file that has other bytes than it said breaks the export off", async () => {
  const files = async function* (bytes: number): AsyncGenerator<ArchiveFile> {
    yield { name: "a", bytes, content: [Buffer.from("four")] };
  };
  await expect(concat(tarOf(files(4)))).resolves.toHaveLength(512 + 512 + 1024);
  await expect(concat(tarOf(files(3)))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect(concat(tarOf(files(5)))).rejects.toMatchObject({ code: "UNAVAILABLE" });
});
