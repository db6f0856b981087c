/** The question before something is deleted: who agrees, and where nobody can be asked. */
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { agreed } from "../../cli/agreed.ts";

const question = "Delete the run a, with its log?";

function terminal(isTTY: boolean) {
  const input = Object.assign(new PassThrough(), { isTTY });
  const output = new PassThrough();
  return { input, output, said: () => String(output.read() ?? "") };
}

test.each([
  ["y", true],
  ["Y", true],
  ["yes", true],
  [" Yes ", true],
  ["n", false],
  ["no", false],
  ["", false],
  ["yess", false],
  ["of course", false],
])("%j: %s", async (typed, isAgreed) => {
  const { said, ...streams } = terminal(true);
  const asking = agreed(question, false, streams);
  streams.input.write(`${typed}\n`);
  expect(await asking).toBe(isAgreed);
  expect(said()).toBe(`${question} [y/N] `);
});

test("Ctrl-D is a no", async () => {
  const { said: _, ...streams } = terminal(true);
  const asking = agreed(question, false, streams);
  streams.input.end();
  expect(await asking).toBe(false);
});

test.each([
  ["that is no terminal", false, false],
  ["with --json, whose answer a program reads", true, true],
])("where nobody can be asked, %s, it says what to add", async (_, isTTY, json) => {
  const { said, ...streams } = terminal(isTTY);
  await expect(agreed(question, json, streams)).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: `${question} Nobody can be asked here: add --yes.`,
  });
  expect(said()).toBe("");
});
