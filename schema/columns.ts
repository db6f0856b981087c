/** Kinds of columns that the tables share. */
import { sql } from "drizzle-orm";
import { customType, text, timestamp, uuid } from "drizzle-orm/pg-core";

export const bytea = customType<{ data: Uint8Array; driverData: Uint8Array }>({ dataType: () => "bytea" });
export const instant = (name: string) => timestamp(name, { withTimezone: true, mode: "date" });
/** When a row ends by itself (store/ends/due.ts); what held it when it was due, for people; and when that is looked at again. */
export const expiring = () => ({
  expiresAt: instant("expires_at"),
  expiryHeldBy: text("expiry_held_by"),
  expiryTryAt: instant("expiry_try_at"),
});
export const createdAt = () => instant("created_at").notNull().defaultNow();

/** Tells values of another column apart, faster than by comparing them. */
export const hashOf = (name: string, column: string) =>
  uuid(name)
    .notNull()
    .generatedAlwaysAs(sql`md5(${sql.raw(column)}::text)::uuid`);
