/** What somebody who makes projects and keys can do on a command line, and the rows that are printed. */
import type { DiskUse, DiskUsePart } from "../schema/disk-use.ts";
import type { Keep } from "../schema/expiry.ts";
import type { Scope } from "../schema/projects.ts";
import type { QuotaName, Quotas } from "../schema/usage.ts";
import type { KeepChanges } from "../store/store.ts";
import type { Connection, Paging } from "./pages.ts";

export interface KeyRow {
  readonly id: string;
  readonly name: string;
  readonly start: string;
  readonly scopes: readonly string[];
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly lastUsedAt: string | null;
  readonly revokedAt: string | null;
}

export interface ProjectRow {
  readonly id: string;
  readonly name: string;
}

export interface WantedKey {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly days: number | null;
  /** Null for the administrator's own. */
  readonly projectId: string | null;
}

export interface NewKeyRow extends KeyRow {
  readonly key: string;
}

/** With the names of the projects. */
export interface DiskUseRows extends Omit<DiskUse, "parts"> {
  readonly parts: readonly (Omit<DiskUsePart, "projectId"> & { readonly project: string | null })[];
}

/** An entry of the audit log. */
export interface AuditRow {
  /** By which the next ones are asked for. */
  readonly cursor: string;
  readonly at: string;
  readonly projectId: string;
  readonly action: string;
  readonly actor: {
    readonly kind: string;
    readonly name: string | null;
    readonly apiKeyId: string | null;
    readonly requestId: string | null;
    readonly address: string | null;
  };
  readonly objectType: string;
  readonly objectId: string | null;
  readonly objectName: string | null;
  readonly details: Readonly<Record<string, string | null>>;
}

export interface AuditQuery {
  readonly projectId: string | null;
  readonly from: Date | null;
  readonly until: Date | null;
  readonly actor: string | null;
  readonly action: string | null;
  /** As the API gives ids. */
  readonly object: string | null;
}

export interface ErasureRow {
  readonly runs: number;
  readonly datasets: number;
  readonly evaluations: number;
  readonly completions: number;
  readonly files: number;
  readonly filesWaiting: number;
}

export type QuotaChanges = Readonly<Partial<Record<QuotaName, number | null>>>;

export interface Administrator {
  projects(page: Paging): Promise<Connection<ProjectRow>>;
  createProject(name: string): Promise<ProjectRow>;
  diskUse(projectId: string | null): Promise<DiskUseRows>;
  /** How long a project keeps what it creates, in seconds: null takes a time away. Returns all that holds. */
  setKeep(changes: KeepChanges, projectId: string | null): Promise<Keep>;
  /** What a project may use: null takes a limit away. Returns all that holds. */
  setQuotas(changes: QuotaChanges, projectId: string | null): Promise<Quotas>;
  renameProject(id: string, name: string): Promise<void>;
  /** A tar. */
  exportProject(id: string, options: { readonly weights: boolean }): Promise<AsyncIterable<Uint8Array>>;
  eraseProject(id: string, name: string): Promise<ErasureRow>;
  /** Newest first. */
  audit(query: AuditQuery, page: Paging): Promise<Connection<AuditRow>>;
  keys(projectId: string | null, page: Paging): Promise<Connection<KeyRow>>;
  createKey(wanted: WantedKey): Promise<NewKeyRow>;
  rotateKey(id: string, overlapS: number): Promise<NewKeyRow>;
  renameKey(id: string, name: string): Promise<void>;
  revokeKey(id: string): Promise<void>;
  deleteKey(id: string): Promise<void>;
}
