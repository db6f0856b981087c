/** What `--help` says of every command: enough for whoever has read nothing else, and examples that run as they are written. */
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { exitCodes } from "../../cli/exit-codes.ts";
import { build } from "../../cli/main.ts";
import { pageNamed } from "../docs/pages.ts";

const everything = (command: Command): Command[] => [command, ...command.commands.flatMap(everything)];
const program = await build(() => true);
const all = everything(program);
const leaves = all
  .filter(({ commands }) => commands.length === 0)
  .map((command) => ({ path: pathOf(command), command }));

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 10_000 });
  command.outputHelp();
  return text;
}

/** Lines below "Example:", with those that a backslash continues. */
function examplesOf(command: Command): string[] {
  const [, after = ""] = helpOf(command).split(/^Examples?:\n/mu);
  const lines = after.replaceAll(/\\\n\s*/gu, "").split("\n");
  return lines.map((line) => line.trim()).filter((line) => /(?:^|\| )steplog /u.test(line));
}

/** As a shell splits words; a pipe, a redirection or another command ends it. */
function wordsOf(line: string): string[] {
  const [, command = ""] = /(?:^|\| )steplog (.*)$/u.exec(line) ?? [];
  const [own = ""] = command.split(/ (?:[|<>]|&&) | {3,}/u);
  return [...own.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/gu)].map(([, one, other, bare]) => one ?? other ?? bare ?? "");
}

test("there are commands to look at", () => expect(leaves.length).toBeGreaterThan(50));

describe.each(leaves)("$path", ({ path, command }) => {
  test("says what it does in sentences, and what each argument and option is", () => {
    expect(command.description()).toMatch(/^[A-Z].{15,}\.$/su);
    const parts = [...command.registeredArguments, ...command.options.filter(({ hidden }) => !hidden)];
    for (const { description } of parts) expect(description).toMatch(/^.{3,}(?:[^.]|\.\.\.)$/u);
  });

  test("has an example where it needs something", () => {
    const needs = [...command.registeredArguments, ...command.options.filter(({ mandatory }) => mandatory)];
    const own = examplesOf(command).filter((line) => ` ${line} `.includes(`${path} `));
    expect(own.length).toBeGreaterThanOrEqual(needs.length > 0 ? 1 : 0);
  });

  test("has examples that run as they are written", async () => {
    for (const line of examplesOf(command)) {
      const fresh = await build(() => true);
      let ran = false;
      for (const one of everything(fresh)) {
        one.configureOutput({ writeErr: () => {} });
        if (one.commands.length === 0) one.action(() => void (ran = true));
      }
      await fresh.parseAsync(wordsOf(line), { from: "user" }).catch((error: unknown) => {
        throw new Error(`${line}: ${String(error)}`);
      });
      expect([line, ran]).toEqual([line, true]);
    }
  });
});

test("an option means the same wherever it is", () => {
  const same = new Map<string, Set<string>>();
  for (const { command } of leaves)
    for (const { long, description } of command.options)
      if (["--url", "--quiet", "--yes", "--limit", "--all"].includes(long ?? ""))
        same.set(long ?? "", (same.get(long ?? "") ?? new Set()).add(description));
  for (const [long, descriptions] of same) expect([long, [...descriptions]]).toEqual([long, [expect.any(String)]]);
  expect(same.size).toBeGreaterThan(3);
});

test("--json says what is printed", () => {
  const told = leaves.flatMap(({ path, command }) =>
    command.options.filter(({ long }) => long === "--json").map(({ description }) => ({ path, description })),
  );
  expect(told.filter(({ description }) => !/\bprint\b/u.test(description))).toEqual([]);
});

test("exit codes, and errors with --json, are told once: by the help of all, and in docs/CLI.md", () => {
  const whole = helpOf(program);
  const { text } = pageNamed("docs/CLI.md");
  for (const code of Object.values(exitCodes)) {
    expect(whole).toMatch(new RegExp(`Exit codes:[^]*\\b${code}\\b`, "u"));
    expect(text).toMatch(new RegExp(`^\\| ${code} +\\| `, "mu"));
  }
  expect(whole).toContain('{"error": {code, message, issues}}');
  expect(leaves.filter(({ command }) => /exit codes?:/iu.test(helpOf(command))).map(({ path }) => path)).toEqual([]);
});
