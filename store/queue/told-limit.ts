/**
 * The limit of runs at once, told to who knows the database alone (the view queue_depth). Every process claims by its own value and
 * tells it now and then, so the last one that told it is counted with. They should all have the same: what is found to be another's
 * after one's own was told is a mistake, since whoever is replaced tells nothing any more.
 */
import { eq, sql } from "drizzle-orm";
import type { Log } from "../../schema/log.ts";
import { serviceLimits } from "../../schema/service-tables.ts";
import type { Database } from "../postgres/database.ts";
import type { MostRuns } from "./turns.ts";

/** Tells it, and warns once of each other value that another process has told since. */
export function limitTeller(database: Database, most: MostRuns, log: Log | undefined): () => Promise<void> {
  let hasTold = false;
  const warned = new Set<MostRuns>();
  return async () => {
    const before = await tell(database, most);
    if (hasTold && before !== undefined && before !== most && !warned.has(before)) {
      warned.add(before);
      log?.warn({ here: most ?? 0, elsewhere: before ?? 0 }, disagreement(most, before));
    }
    hasTold = true;
  };
}

function disagreement(here: MostRuns, elsewhere: MostRuns): string {
  return (
    `STEPLOG_CONCURRENT_RUNS is ${here ?? 0} here, and ${elsewhere ?? 0} for another gateway or worker of this database. Set it alike ` +
    "for all of them: each worker keeps to its own value, and autoscalers count with the one that was told last."
  );
}

/** What was told before; undefined when nothing was. */
async function tell(database: Database, most: MostRuns): Promise<MostRuns | undefined> {
  const name = "concurrentRuns";
  const [before] = await database.select().from(serviceLimits).where(eq(serviceLimits.name, name));
  const isOther = sql`${serviceLimits.most} is distinct from excluded.most`;
  await database
    .insert(serviceLimits)
    .values({ name, most })
    .onConflictDoUpdate({ target: serviceLimits.name, set: { most }, setWhere: isOther });
  return before?.most;
}
