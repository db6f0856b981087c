/** The audit log as one viewer may read it: an admin that of the own project, an operator that of all or of one. */
import type { AuditEntry } from "../../schema/audit-tables.ts";
import { type Scope, type Viewer, isOperator } from "../../schema/projects.ts";
import { type AuditFilter, auditCount, auditLog } from "../audit/log.ts";
import type { Page } from "../pages.ts";
import type { Database } from "../postgres/database.ts";
import { projectFor } from "./sight.ts";

export interface AuditReading {
  /** Newest first. @throws NOT_FOUND for a project that is not the viewer's */
  list(query: AuditFilter & Page): Promise<AuditEntry[]>;
  /** How many the pages of such a list have together. */
  count(filter: AuditFilter): Promise<number>;
}

interface Room {
  readonly database: Database;
  readonly viewer: Viewer;
  readonly may: (scope: Scope) => void;
}

export function auditReadingOf({ database, viewer, may }: Room): AuditReading {
  const everything = isOperator(viewer) ? undefined : viewer.projectId;
  const readable = (projectId: string | undefined) => {
    may("admin");
    return projectId === undefined ? everything : projectFor(viewer, projectId);
  };
  return {
    list: async ({ projectId, ...query }) => auditLog(database, { ...query, projectId: readable(projectId) }),
    count: async ({ projectId, ...filter }) => auditCount(database, { ...filter, projectId: readable(projectId) }),
  };
}
