/** The words of the command lines that do what a button does. tests/browser/commands.test.ts has the command itself read each. */

import type { KeptName } from "../../../schema/expiry.ts";
import { spelled } from "../../../schema/spelling.ts";

export type Words = readonly string[];

/** A word that begins with a dash would be read as an option: such ones come last. */
function command(path: string, given: Words, options: Words = []): Words {
  const first = path.split(" ");
  return given.some((word) => word.startsWith("-"))
    ? [...first, ...options, "--", ...given]
    : [...first, ...given, ...options];
}

const option = (name: string, value: string | number | null | undefined): Words =>
  value === null || value === undefined || value === "" ? [] : [name, String(value)];

/** The name again before each value, so that none is taken for an option or for the next word. */
const options = (name: string, values: Words): Words => values.flatMap((value) => [name, value]);

export const commands = {
  pause: (run: string) => command("pause", [run]),
  resume: (run: string) => command("resume", [run]),
  cancel: (run: string) => command("cancel", [run]),
  archive: (run: string, archived: boolean) => command("update", [run], [archived ? "--archive" : "--unarchive"]),
  update: (run: string, { name, tags }: { readonly name: string; readonly tags: Words }) =>
    command("update", [run], [...option("--name", name), ...(tags.length > 0 ? options("--tag", tags) : ["--untag"])]),
  tag: (run: string, { add, remove }: { readonly add: Words; readonly remove: Words }) =>
    command("update", [run], [...options("--add-tag", add), ...options("--remove-tag", remove)]),
  deleteRun: (run: string) => command("delete", ["run", run], ["--cancel", "--yes"]),
  continueRun: (run: string, { steps, maxSeconds }: { readonly steps: number; readonly maxSeconds: number }) =>
    command("continue", [run], [...option("--steps", steps), ...option("--max-seconds", maxSeconds)]),
  fork: (run: string, step: number, { name, hyperparameters }: ForkWords) =>
    command(
      "fork",
      [run],
      [...option("--at", step), ...option("--name", name), ...options("--set", settingWords(hyperparameters))],
    ),
  deleteCheckpoint: (checkpoint: string) => command("delete", ["checkpoint", checkpoint], ["--yes"]),
  rebuild: (checkpoint: string, { merged = false, dtype }: WeightsWords = {}) =>
    command("rebuild", [checkpoint], [...(merged ? ["--merged"] : []), ...option("--dtype", dtype?.toLowerCase())]),
  cancelSweep: (sweep: string) => command("sweeps cancel", [sweep]),
  deleteSweep: (sweep: string, { runs }: { readonly runs: boolean }) =>
    command("delete", ["sweep", sweep], [...(runs ? ["--runs"] : []), "--yes"]),
  evaluate: (model: string, { dataset, labelWords, answerTokens, truncate, precision, calibrationPrompt }: Measuring) =>
    command(
      "evaluate",
      [model],
      [
        ...option("--dataset", dataset),
        ...options("--label-words", labelWords),
        ...option("--answer-tokens", answerTokens),
        ...option("--truncate", truncate),
        ...option("--precision", precision),
        ...option("--calibration-prompt", calibrationPrompt),
      ],
    ),
  setAlias: (name: string, model: string) => command("alias set", [name], ["--model", model]),
  rollBackAlias: (name: string) => command("alias back", [name]),
  removeAlias: (name: string) => command("alias remove", [name]),
  deleteDataset: (dataset: string) => command("delete", ["dataset", dataset], ["--yes"]),
  expireDataset: (dataset: string, expiry: ExpiryWords) => command("expire", ["dataset", dataset, whenOf(expiry)]),
  createProject: (name: string) => command("projects create", [name]),
  renameProject: (name: string, to: string) => command("projects rename", [name, to]),
  eraseProject: (name: string, confirmed: string) => command("projects erase", [name], ["--confirm", confirmed]),
  keepOfProject: (name: string, keep: Readonly<Partial<Record<KeptName, number | null>>>) =>
    command("projects set", [], [...option("--project", name), ...options("--keep", keepWords(keep))]),
  quotasOfProject: (name: string, quotas: Readonly<Record<string, number | null>>) =>
    command("projects set", [], [...option("--project", name), ...options("--quota", quotaWords(quotas))]),
  createWebhook: ({ url, description, events }: Told) =>
    command("webhooks create", [url], [...option("--description", description), ...options("--event", events)]),
  changeWebhook: (webhook: string, { url, description, events }: Told) =>
    command(
      "webhooks change",
      [webhook],
      [
        ...option("--address", url),
        // It may be emptied.
        ...options("--description", [description]),
        ...(events.length > 0 ? options("--event", events) : ["--all-events"]),
      ],
    ),
  enableWebhook: (webhook: string, enabled: boolean) =>
    command("webhooks change", [webhook], [enabled ? "--enable" : "--disable"]),
  testWebhook: (webhook: string) => command("webhooks test", [webhook]),
  replayWebhook: (webhook: string, { since, webhookId }: { since?: string | null; webhookId?: string }) =>
    command("webhooks replay", [webhook], [...option("--message", webhookId), ...option("--since", since)]),
  renewWebhookSecret: (webhook: string) => command("webhooks secret", [webhook]),
  deleteWebhook: (webhook: string) => command("webhooks delete", [webhook], ["--yes"]),
  createKey: ({ name, scopes, expiresInDays }: NewKeyWords, project: string) =>
    command(
      "keys create",
      [],
      [
        ...option("--name", name),
        ...option("--scopes", scopes.join(",").toLowerCase()),
        ...option("--project", project),
        ...option("--expires", expiresInDays == null ? null : `${expiresInDays}d`),
      ],
    ),
  renameKey: (key: Key, name: string) => command("keys rename", [key.start, name], of(key)),
  rotateKey: (key: Key, overlap: number) =>
    command("keys rotate", [key.start], [...of(key), ...option("--overlap", overlap)]),
  revokeKey: (key: Key) => command("keys revoke", [key.start], of(key)),
  deleteKey: (key: Key) => command("keys delete", [key.start], of(key)),
};

interface ForkWords {
  readonly name: string;
  readonly hyperparameters: Readonly<Record<string, unknown>>;
}

interface ExpiryWords {
  readonly never?: boolean;
  readonly at?: string;
  readonly ttl?: number;
}

interface WeightsWords {
  readonly merged?: boolean;
  readonly dtype?: string | null;
}

interface Measuring {
  readonly dataset: string;
  readonly labelWords: Words;
  readonly answerTokens: number;
  readonly truncate: string;
  readonly precision: string;
  readonly calibrationPrompt?: string | null | undefined;
}

interface Told {
  readonly url: string;
  readonly description: string;
  /** None for all types. */
  readonly events: Words;
}

interface NewKeyWords {
  readonly name: string;
  readonly scopes: Words;
  readonly expiresInDays?: number | null | undefined;
}

/** How it begins tells it from others of its project. */
interface Key {
  readonly start: string;
  readonly project: { readonly name: string };
}

const of = ({ project }: Key) => option("--project", project.name);

const settingWords = (settings: Readonly<Record<string, unknown>>): Words =>
  Object.entries(settings).map(([name, value]) => `${name}=${Array.isArray(value) ? value.join(",") : String(value)}`);

const whenOf = ({ never, at, ttl }: ExpiryWords) => (never ? "never" : (at ?? `${ttl}s`));

/** As options have them: "fine-tunes=86400s", "weights=none". */
const keepWords = (keep: Readonly<Partial<Record<KeptName, number | null>>>): Words =>
  Object.entries(keep).map(([name, seconds]) => {
    return `${hyphened(name)}=${seconds === null ? "none" : `${seconds}s`}`;
  });

const quotaWords = (quotas: Readonly<Record<string, number | null>>): Words =>
  Object.entries(quotas).map(([name, limit]) => `${hyphened(name)}=${limit ?? "none"}`);

const hyphened = (name: string) => spelled(name, "-");

/** For a POSIX shell. */
export const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** As a line for a POSIX shell. What is no option any more, after "--", stays at the end. */
export function lineOf(words: Words, url: string): string {
  const end = words.includes("--") ? words.indexOf("--") : words.length;
  const all = ["npx", "steplog", ...words.slice(0, end), "--url", url, ...words.slice(end)];
  return all.map((word) => (/^[\w./:=@,-]+$/u.test(word) ? word : quoted(word))).join(" ");
}
