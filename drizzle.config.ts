/**
 * After a change of the tables in schema/: `npx drizzle-kit generate --name what_changed` writes the next file of
 * migrations/, and `npm run schema:dump` brings migrations/schema.sql up to it.
 */
import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "postgresql",
  schema: [
    "./schema/tables.ts",
    "./schema/project-tables.ts",
    "./schema/sweep-tables.ts",
    "./schema/serving-tables.ts",
    "./schema/export-tables.ts",
    "./schema/webhook-tables.ts",
    "./schema/blob-tables.ts",
    "./schema/service-tables.ts",
    "./schema/audit-tables.ts",
    "./schema/block-tables.ts",
    "./schema/memory-tables.ts",
    "./schema/download-tables.ts",
    "./schema/queue-view.ts",
  ],
  out: "./migrations",
});
