/** `steplog chat`: what is said, and what is asked of the model for it. In a real terminal where it needs one. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Conversation, meaningOf } from "../../cli/chat/conversation.ts";
import { wholeOf } from "../../cli/chat/typing.ts";
import { answeringServer } from "../server/asking.ts";
import type { FakeLane } from "../server/fake-lane.ts";
import type { TestServer } from "../server/harness.ts";
import { runShell } from "../support/processes.ts";
import { ctrlC, inTerminal } from "../support/terminal.ts";

let server: TestServer;
let lane: FakeLane;
beforeAll(async () => {
  ({ server, lane } = await answeringServer());
}, 60_000);
afterAll(async () => {
  await lane.stop();
  await server.dispose();
});

test.runIf(process.platform === "linux")(
  "a chat keeps what was said, and Ctrl-C stops an answer only",
  async () => {
    let go = () => {};
    const hold = new Promise<void>((resolve) => (go = resolve));
    lane.next({ texts: ["Well", " met"] }, { texts: ["Long", " story"], hold }, { texts: ["New"] });
    const terminal = await inTerminal(`steplog chat --model talker --url ${server.url}; echo code $?`);
    await terminal.shows("/help says", "output");
    terminal.type("Hi\\\rthere\r");
    await terminal.shows("Well met", "output");
    terminal.type("And?\r");
    await terminal.shows("Long", "output");
    terminal.type(ctrlC);
    await terminal.shows(/Long\s[^]*> /u, "output");
    go();
    terminal.type("/reset\r");
    await terminal.shows("forgotten", "output");
    terminal.type("/help\r/nonsense\r");
    await terminal.shows("There is no /nonsense", "output");
    terminal.type("//etc\r");
    await terminal.shows("New", "output");
    terminal.type("\u0004");
    await terminal.shows("code 0", "output");
    await terminal.ended;
    expect(lane.prompts.slice(-3)).toEqual([
      "user: Hi\nthere\nassistant: ",
      "user: Hi\nthere\nassistant: Well met\nuser: And?\nassistant: ",
      "user: /etc\nassistant: ",
    ]);
    expect((await server.queued()).completions).toBe(0);
  },
  60_000,
);

test.runIf(process.platform === "linux")(
  "an error of the service is told, and the chat goes on",
  async () => {
    lane.next({ fails: { code: "OUT_OF_MEMORY", message: "too large" } }, { texts: ["Here"] });
    const terminal = await inTerminal(`steplog chat --model talker --url ${server.url}; echo code $?`);
    await terminal.shows("/help says", "output");
    terminal.type("One\r");
    await terminal.shows("OUT_OF_MEMORY: too large", "output");
    terminal.type("Two\r");
    await terminal.shows("Here", "output");
    terminal.type("/exit\r");
    await terminal.shows("code 0", "output");
    expect(lane.prompts.at(-1)).toBe("user: Two\nassistant: ");
  },
  60_000,
);

test("what is piped in is one message, and what comes out is the answer alone", async () => {
  lane.next({ texts: ["An", " answer"] }, { texts: ["Two"] });
  const asked = `printf 'One\\nmessage\\n' | steplog chat --model talker --url ${server.url}`;
  expect(await runShell(asked)).toEqual({ code: 0, stdout: "An answer\n", stderr: "" });
  expect(lane.prompts.at(-1)).toBe("user: One\nmessage\nassistant: ");
  const { stdout } = await runShell(`${asked} --json --temperature 0`);
  expect(JSON.parse(stdout)).toMatchObject({ status: "SUCCEEDED", choices: [{ text: "Two" }] });
  expect((await server.queued()).completions).toBe(0);
});

test("lines are for the command if they begin with one slash", () => {
  const kinds = ["/exit", "/quit", "/reset", "/system", "/system Be kind", "//etc", "/etc/hosts", "a /exit"].map(
    meaningOf,
  );
  expect(kinds).toEqual([
    { kind: "exit" },
    { kind: "exit" },
    { kind: "reset" },
    { kind: "system", text: "" },
    { kind: "system", text: "Be kind" },
    { kind: "message", text: "/etc" },
    { kind: "unknown", word: "/etc/hosts" },
    { kind: "message", text: "a /exit" },
  ]);
});

test("a message goes on after a backslash and between fences", () => {
  expect(wholeOf(["a"])).toBe("a");
  expect(wholeOf(["a\\"])).toBe(null);
  expect(wholeOf(["a\\", "b"])).toBe("a\nb");
  expect(wholeOf(['"""', "a"])).toBe(null);
  expect(wholeOf(['"""', "a\\", "", "b", '"""'])).toBe("a\\\n\nb");
});

test("a system's message comes first; what got no answer is not kept", () => {
  const conversation = new Conversation("Be kind");
  conversation.keep("lost", "");
  conversation.keep("Hi", "Yes?");
  expect(conversation.asking("So").map(({ content }) => content)).toEqual(["Be kind", "Hi", "Yes?", "So"]);
  conversation.setSystem("");
  conversation.reset();
  expect(conversation.asking("So")).toEqual([{ role: "user", content: "So" }]);
});
