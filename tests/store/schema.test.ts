import { readFile, readdir } from "node:fs/promises";
import { generateDrizzleJson, generateMigration } from "drizzle-kit/api";
import { expect, test } from "vitest";
import { z } from "zod";
import * as auditTables from "../../schema/audit-tables.ts";
import * as blobTables from "../../schema/blob-tables.ts";
import * as blockTables from "../../schema/block-tables.ts";
import * as memoryTables from "../../schema/memory-tables.ts";
import * as downloadTables from "../../schema/download-tables.ts";
import * as exportTables from "../../schema/export-tables.ts";
import * as projectTables from "../../schema/project-tables.ts";
import * as queueView from "../../schema/queue-view.ts";
import * as serviceTables from "../../schema/service-tables.ts";
import * as servingTables from "../../schema/serving-tables.ts";
import * as sweepTables from "../../schema/sweep-tables.ts";
import * as tables from "../../schema/tables.ts";
import * as webhookTables from "../../schema/webhook-tables.ts";
import { dumpSchema, schemaFile } from "../../store/postgres/dump-schema.ts";
import { testDatabase } from "../support/postgres.ts";

/** Every field of drizzle's snapshot comes from the file; only the id is read here. */
const snapshotSchema = z.looseObject({ id: z.string(), prevId: z.string() });
const migrations = new URL("../../migrations/", import.meta.url);

test("migrations/schema.sql is what the migrations lead to (npm run schema:dump makes it anew)", async () => {
  const database = await testDatabase();
  expect(await dumpSchema(database.url)).toBe(await readFile(schemaFile, "utf8"));
  await database.drop();
});

test("the tables of schema/ have no change that the migrations lack (npx drizzle-kit generate makes the next one)", async () => {
  const files = await readdir(new URL("meta/", migrations));
  const last =
    files
      .filter((name) => name.endsWith("_snapshot.json"))
      .toSorted()
      .at(-1) ?? "";
  const before = snapshotSchema.parse(JSON.parse(await readFile(new URL(`meta/${last}`, migrations), "utf8")));
  const every = {
    ...tables,
    ...projectTables,
    ...serviceTables,
    ...servingTables,
    ...exportTables,
    ...blobTables,
    ...webhookTables,
    ...auditTables,
    ...blockTables,
    ...sweepTables,
    ...memoryTables,
    ...downloadTables,
    ...queueView,
  };
  // oxlint-disable-next-line typescript/no-unsafe-assignment -- drizzle-kit ships types that the linter cannot resolve
  const now = generateDrizzleJson(every, before.id);
  expect(await generateMigration({ ...now, ...before }, now)).toEqual([]);
});
