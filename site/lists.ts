/** Pages that list others: the first page, and that of the decisions. */
import { contents, type Entry } from "./contents.ts";
import { addressOf } from "./links.ts";

export function homePage(): string {
  const groups = contents.map(({ name, entries }) =>
    [
      `## ${name}`,
      entries.map((entry) => `- [${entry.name}](${addressOf(entry.slug)}): ${entry.wants}`).join("\n"),
    ].join("\n\n"),
  );
  const intro =
    "Steplog fine-tunes language models with forward passes only, as a service. This is the documentation of the release " +
    "that serves it; it asks no other host for anything.";
  return ["# Documentation", intro, ...groups].join("\n\n");
}

export function decisionsPage(entries: readonly Entry[], texts: ReadonlyMap<string, string>): string {
  const decisions = entries.filter(({ source }) => source?.startsWith("docs/decisions/"));
  const lines = decisions.map(({ slug }) => {
    const title = /^# (.+)$/mu.exec(texts.get(slug) ?? "")?.[1] ?? slug;
    return `- [${title.replace(".", "\\.")}](${addressOf(slug)})`;
  });
  return [
    "# Decisions",
    "Why it is as it is: the choices that took an hour, with what was tried and left.",
    lines.join("\n"),
  ].join("\n\n");
}
