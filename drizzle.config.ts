/**
 * After a change of schema/tables.ts: `npx drizzle-kit generate --name what_changed` writes the next file of
 * migrations/, and `npm run schema:dump` brings migrations/schema.sql up to it.
 */
import { defineConfig } from "drizzle-kit";

export default defineConfig({ dialect: "postgresql", schema: "./schema/tables.ts", out: "./migrations" });
