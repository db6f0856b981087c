/** What projects use and may use, as one viewer may see it: of its own project, or for an operator of any. */
import { SteplogError } from "../../schema/errors.ts";
import type { DiskUse } from "../../schema/disk-use.ts";
import type { Keep } from "../../schema/expiry.ts";
import { type Scope, type Viewer, isOperator } from "../../schema/projects.ts";
import type { OwnRates } from "../../schema/rates.ts";
import type { QuotaUse, UsageDay } from "../../schema/usage.ts";
import type { Database } from "../postgres/database.ts";
import { diskUseOf } from "../ends/disk-use.ts";
import { type KeepChanges, changeKeep, keepOf } from "../ends/expiry.ts";
import { type QueueEntry, queueDepthOf } from "../queue/depth.ts";
import { type QuotaChanges, changeQuotas, quotaUses } from "./quotas.ts";
import { type RateChanges, type RateSubject, changeRates } from "./rates.ts";
import { projectFor } from "./sight.ts";
import { usageOf } from "./usage.ts";

export interface Accounts {
  /** Of the whole service for an operator that names no project, else of one. */
  diskUse(projectId?: string): Promise<DiskUse>;
  /** What waits for workers and what they hold, of all projects; null for whoever is no operator. */
  queue(): Promise<QueueEntry[] | null>;
  /** How long a project keeps what it creates from now on. */
  keep(projectId?: string): Promise<Keep>;
  /** Null takes a time away; what is left out stays. By an admin of the project. @throws FORBIDDEN; NOT_FOUND */
  setKeep(changes: KeepChanges, projectId?: string): Promise<Keep>;
  /** Days from the first to the last, as 2026-01-31; those without use are left out. */
  usage(from: string, to: string, projectId?: string): Promise<UsageDay[]>;
  quotas(projectId?: string): Promise<QuotaUse[]>;
  /** Null takes a quota away; what is left out stays. @throws FORBIDDEN for whoever is no operator; NOT_FOUND */
  setQuotas(changes: QuotaChanges, projectId?: string): Promise<QuotaUse[]>;
  /** Returns what it has of its own then. @throws FORBIDDEN for whoever is no operator; NOT_FOUND */
  setRates(subject: RateSubject, changes: RateChanges): Promise<OwnRates>;
}

interface Room {
  readonly database: Database;
  readonly viewer: Viewer;
  readonly may: (scope: Scope) => void;
}

export function accountsOf({ database, viewer, may }: Room): Accounts {
  const readable = (projectId = viewer.projectId) => {
    may("read");
    return projectFor(viewer, projectId);
  };
  const onlyOperators = (what: string) => {
    may("admin");
    if (isOperator(viewer)) return;
    throw new SteplogError("FORBIDDEN", `Only an operator sets ${what}: a key of the default project with admin.`);
  };
  return {
    usage: async (from, to, projectId) => usageOf(database, { projectId: readable(projectId), from, to }),
    async diskUse(projectId) {
      if (projectId !== undefined || !isOperator(viewer)) return diskUseOf(database, readable(projectId));
      may("read");
      return diskUseOf(database, null);
    },
    async queue() {
      may("read");
      return isOperator(viewer) ? queueDepthOf(database).depth() : null;
    },
    keep: async (projectId) => keepOf(database, readable(projectId)),
    async setKeep(changes, projectId = viewer.projectId) {
      may("admin");
      return changeKeep(database, projectFor(viewer, projectId), changes);
    },
    quotas: async (projectId) => quotaUses(database, readable(projectId)),
    async setQuotas(changes, projectId = viewer.projectId) {
      onlyOperators("quotas");
      return changeQuotas(database, projectId, changes);
    },
    async setRates(subject, changes) {
      onlyOperators("rate limits");
      return changeRates(database, subject, changes);
    },
  };
}
