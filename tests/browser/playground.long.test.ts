/** The page that asks models and shows their answers beside each other. A fake lane answers, through the store. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  FakeWorker,
  chatModel,
  createDataset,
  createFineTuneMutation,
  modelRow,
  type CreatedFineTune,
} from "../server/harness.ts";
import { lanName } from "../../bench/browser/chromium.ts";
import { FakeLane } from "../server/fake-lane.ts";
import { expectAccessible, expectToFit, pageTests } from "./harness.ts";

// Few may wait, so that a test can fill the queue.
const tests = pageTests({ allowedHosts: [lanName], completions: { queueLimit: 4, waitS: 60, keepS: 3_600 } });
const run = promisify(execFile);
let lane: FakeLane | undefined;
/** Id of a run with label words and one checkpoint. */
let tuned = "";

beforeEach(async () => {
  const { server } = tests;
  if (lane) return;
  await chatModel(server, "talker");
  await server.store.baseModels.register({ ...modelRow("filler"), family: "roberta" });
  lane = await FakeLane.start(server.store);
  const dataset = await createDataset(server, "spam", '{"prompt": "Win", "completion": " spam"}');
  const input = {
    name: "spam",
    baseModel: "bytes",
    dataset,
    labelWords: [" ham", " spam"],
    calibrationPrompt: "It was",
  };
  const created = await server.ask<CreatedFineTune>(createFineTuneMutation, { input });
  tuned = created.createFineTune.fineTune.id;
  const worker = await FakeWorker.claim(server.store);
  await worker.train(5);
  await worker.checkpoint();
  await worker.succeed();
});
afterEach(() => lane?.next());
afterAll(() => lane?.stop());

const open = async (query: string) => tests.page.goto(`${tests.server.url}/playground${query}`);
const answerOf = (label: string, page = tests.page) => page.getByRole("region", { name: `Answer of ${label}` });
const prompt = () => tests.page.getByLabel("Text", { exact: true });
const button = (name: string) => tests.page.getByRole("button", { name, exact: true });

describe("the playground", () => {
  test("one prompt, two models: found by search, asked at once, kept in the address", async () => {
    const { page } = tests;
    await page.goto(tests.server.url);
    await page.getByRole("link", { name: "Playground" }).click();
    for (const name of ["bytes", "talker"]) {
      await button("Add a model").click();
      await page.getByRole("searchbox").fill(name.slice(0, 3));
      await page
        .getByRole("dialog")
        .getByRole("button", { name: `${name} llama` })
        .click();
    }
    await page.waitForURL("**/playground?models=bytes,talker");
    lane?.next({ texts: [" go", "od", "!"] }, { texts: [" bad"] });
    await prompt().fill("It was");
    await prompt().press("Control+Enter");
    for (const name of ["bytes", "talker"]) await answerOf(name).getByText("ended by itself").waitFor();
    const said = await Promise.all(["bytes", "talker"].map((name) => answerOf(name).locator(".said").textContent()));
    expect(new Set(said)).toEqual(new Set([" bad", " good!"]));
    await answerOf("bytes")
      .getByText(/first token after \d+\.\d\d s · [46] tokens/u)
      .waitFor();
    expect(lane?.prompts.slice(-2)).toEqual(["It was", "It was"]);
    await page.getByText(/^Answer: /u).waitFor({ state: "attached" });
    // Nothing of it stays on the service.
    await expect.poll(() => tests.server.queued()).toEqual({ jobs: 0, completions: 0 });
    await tests.shoot("playground");
    expect(tests.complaints).toEqual([]);
  });

  test("on plain http, at an address of the network: it asks and copies all the same", async () => {
    const { page, server } = tests;
    const url = server.url.replace("127.0.0.1", lanName);
    await page.goto(`${url}/playground?models=bytes`);
    await expect.poll(() => page.evaluate(() => [isSecureContext, "clipboard" in navigator])).toEqual([false, false]);
    await prompt().fill("It was");
    await button("Send").click();
    await answerOf("bytes").getByText("ended by itself").waitFor();
    await button("View code").click();
    // The code is in a dialog: what is outside of it cannot be selected.
    await page.getByRole("dialog").getByRole("button", { name: "Copy", exact: true }).click();
    await page.getByText("Copied.", { exact: true }).waitFor();
    const code = await page.locator("dialog pre").textContent();
    await button("Close").click();
    await prompt().fill("");
    await page.keyboard.press("Control+V");
    await expect.poll(() => prompt().inputValue()).toBe(code);
    expect(tests.complaints.filter((one) => !one.startsWith(`asked ${url}/`))).toEqual([]);
  });

  test("an answer can be stopped, and asked again; what was written stays", async () => {
    await open("?models=bytes");
    let release = () => {};
    lane?.next({ texts: [" one", " two"], hold: new Promise((resolve) => (release = resolve)) });
    await prompt().fill("It was");
    await button("Send").click();
    await answerOf("bytes").getByText("one").waitFor();
    await button("Stop").click();
    await answerOf("bytes")
      .getByText(/^stopped · /u)
      .waitFor();
    await expect.poll(() => tests.server.queued()).toMatchObject({ completions: 0 });
    release();
    await button("Again: bytes").click();
    await answerOf("bytes").getByText("good").waitFor();
    await expect.poll(() => answerOf("bytes").getByText("one").count()).toBe(0);
    await button("Clear").click();
    await expect.poll(() => prompt().inputValue()).toBe("");
    await expect.poll(() => answerOf("bytes").count()).toBe(0);
  });

  test("what was written stays when the page is loaded anew, and an answer is read on from where it was", async () => {
    let release = () => {};
    await open("?models=bytes");
    lane?.next({ texts: [" one", " two", " three"], hold: new Promise((resolve) => (release = resolve)) });
    await prompt().fill("Count:");
    await button("Send").click();
    await answerOf("bytes").getByText("one").waitFor();
    await tests.page.reload();
    await expect.poll(() => prompt().inputValue()).toBe("Count:");
    await answerOf("bytes").getByText("one").waitFor();
    release();
    await answerOf("bytes").getByText("ended by itself").waitFor();
    await expect.poll(() => answerOf("bytes").locator(".said").textContent()).toBe(" one two three");
    // Another page of the tab does not end an answer either.
    await tests.page.getByRole("link", { name: "Runs" }).click();
    await tests.page.getByRole("link", { name: "Playground" }).click();
    expect(new URL(tests.page.url()).search).toBe("");
    await expect.poll(() => tests.page.evaluate(() => Object.keys(localStorage))).toEqual([]);
  });

  test("a conversation keeps its turns; a turn can be edited; a model without words for one says why", async () => {
    const { page } = tests;
    await open("?models=talker,bytes&mode=chat");
    await page
      .getByRole("status")
      .getByText(/^bytes takes no messages: it has no chat template/u)
      .waitFor();
    const say = async (text: string) => {
      await page.getByLabel("Message", { exact: true }).fill(text);
      await page.keyboard.press("Control+Enter");
    };
    lane?.next({ texts: ["Hello", " you"] });
    await say("Hi");
    await answerOf("talker").getByText("Hello you").waitFor();
    await answerOf("talker").getByText("ended by itself").waitFor();
    await say("And?");
    await answerOf("talker").last().getByText("good").waitFor();
    expect(lane?.prompts.at(-1)).toBe("user: Hi\nassistant: Hello you\nuser: And?\nassistant: ");
    await answerOf("talker").last().getByText("ended by itself").waitFor();
    await button("Again: talker, turn 2").waitFor();
    await expectAccessible(page, "two turns of a conversation");
    await tests.shoot("playground-chat");
    await button("Edit turn 1").click();
    await page.getByLabel("Turn 1", { exact: true }).fill("Ho");
    await button("Ask again").click();
    await answerOf("talker").getByText("good").waitFor();
    expect(lane?.prompts.at(-1)).toBe("user: Ho\nassistant: ");
    await expect.poll(() => answerOf("talker").count()).toBe(1);
    // This template refuses a system message: the model's answer says so, and it can be asked again without.
    await page.getByLabel("System message").fill("Be brief.");
    await button("Again: talker, turn 1").click();
    await answerOf("talker").getByRole("alert").getByText("INVALID_ARGUMENT").waitFor();
    await page.getByLabel("System message").fill("");
    await button("Again: talker, turn 1").click();
    await answerOf("talker").getByText("good").waitFor();
    await button("Clear").click();
    await expectAccessible(page, "asking before a conversation is cleared");
    await button("Clear it").click();
    await answerOf("talker").waitFor({ state: "detached" });
    expect(tests.complaints).toEqual([]);
  });

  test("from a classifier's run: its labels, and their shares for base and tuned beside each other", async () => {
    const { page, server } = tests;
    await page.goto(`${server.url}/fine-tunes/${encodeURIComponent(tuned)}`);
    await page.getByRole("link", { name: "Try it", exact: true }).first().click();
    await page.waitForURL(`**/playground?models=bytes,${encodeURIComponent(tuned)}&mode=labels`);
    await expect.poll(() => page.getByRole("textbox", { name: "Labels" }).inputValue()).toBe(" ham\n spam");
    await expect.poll(() => page.getByLabel("Calibration prompt").inputValue()).toBe("It was");
    await page.getByLabel("Calibration prompt").fill("");
    await page.getByLabel("Text before the label").fill("ham ham ham");
    await button("Send").click();
    for (const name of ["bytes", "spam, last checkpoint"])
      await answerOf(name)
        .getByRole("row", { name: /^“ ham” ?, chosen/u })
        .waitFor();
    const shares = await answerOf("bytes").locator(".share").allTextContents();
    // e to the mean log-probabilities, as the fake lane scores bytes by how often the text has them.
    const mean = (label: string) =>
      label.split("").reduce((sum, one) => sum - 1 / (1 + "ham ham ham".split(one).length - 1), 0) / label.length;
    const [ham, spam] = [Math.exp(mean(" ham")), Math.exp(mean(" spam"))];
    expect(shares.map(Number.parseFloat)).toEqual(
      [ham, spam].map((one) => expect.closeTo((100 * one) / (ham + spam), 1) as unknown),
    );
    await tests.shoot("playground-labels");
    await button("View code").click();
    await button("Node").click();
    const code = (await page.locator("dialog pre").textContent()) ?? "";
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", code]);
    // The fake lane scores a whole text after its first byte, an h.
    expect(stdout).toBe(" ham { ' ham': -0.875, ' spam': -1 }\n");
    await button("Python").click();
    await page.getByText('labels = [" ham"," spam"]').waitFor();
    await expectAccessible(page, "the code of a choice");
    await page.keyboard.press("Escape");
    expect(tests.complaints).toEqual([]);
  });

  test("errors are at the model that they belong to, with what to do", async () => {
    const { page, server } = tests;
    await open("?models=bytes,nobody,filler");
    await page.getByText("filler fills gaps in a text").waitFor();
    await prompt().fill("x".repeat(80));
    await button("Send").click();
    await answerOf("bytes").getByText("has 80 tokens, but the model's context has room for 63").waitFor();
    await answerOf("nobody").getByText("There is no model").waitFor();
    await tests.shoot("playground-errors");
    await expectAccessible(page, "errors of models");
    await expectToFit(page, "errors of models");
    await page.setViewportSize({ width: 1280, height: 900 });
    // A setting out of its range is told at the setting, whose help is what the API says.
    await prompt().fill("It was");
    await page.getByText("Sampling settings").click();
    await page.getByText("Logits are divided by it, 0 to 2; 0 takes the likeliest token.").waitFor();
    await page.getByLabel("temperature").fill("5");
    await button("Send").click();
    await page.locator("[aria-invalid]").waitFor();
    await expect.poll(() => page.locator("[aria-invalid]").inputValue()).toBe("5");
    await page.getByLabel("temperature").fill("0.5");
    lane?.next({ fails: { code: "BASE_MISMATCH", message: "The files of bytes have changed." } });
    await button("Send").click();
    await answerOf("bytes").getByText("The files of bytes have changed.").waitFor();
    // Nobody can answer; then somebody could, but others wait; then there is room again.
    await lane?.stop();
    await button("Again: bytes").click();
    await answerOf("bytes").getByText("UNAVAILABLE").waitFor();
    await lane?.report();
    const create = "mutation ($input: CreateCompletionInput!) { createCompletion(input: $input) { created } }";
    for (const one of ["a", "b", "c", "d"])
      await server.ask(create, { input: { model: { name: "bytes" }, prompt: one } });
    await button("Again: bytes").click();
    await answerOf("bytes").getByText("BUSY").waitFor();
    lane = await FakeLane.start(server.store);
    await expect
      .poll(async () => {
        await button("Again: bytes").click();
        const [good, busy] = [answerOf("bytes").getByText("good"), answerOf("bytes").getByText("BUSY")];
        await good.or(busy).waitFor();
        return good.count();
      })
      .toBe(1);
    expect(tests.complaints).toEqual([]);
    // So its own page does not lead there.
    await page.goto(`${tests.server.url}/models/filler`);
    await page.getByRole("link", { name: "Tune it" }).waitFor();
    await expect.poll(() => page.getByRole("link", { name: "Try it" }).count()).toBe(0);
  });

  test("the code makes exactly this request: GraphQL, Python, Node, curl", async () => {
    const { page } = tests;
    await open("?models=bytes");
    await prompt().fill('It\'s “so”:\n"x" $HOME');
    await page.getByText("Sampling settings").click();
    await page.getByLabel("maxTokens").fill("7");
    await page.getByLabel("seed").fill("5");
    await page.getByLabel("topK").fill("9");
    await page.getByLabel("minP").fill("0.05");
    await page.getByLabel("repetitionPenalty").fill("1.1");
    await page.getByLabel("frequencyPenalty").fill("0.5");
    await page.getByLabel("presencePenalty").fill("-0.5");
    await page.getByLabel("stop").fill(String.raw`\n`);
    await button("View code").click();
    const code = async (language: string) => {
      await button(language).click();
      return (await page.locator("dialog pre").textContent()) ?? "";
    };
    const asked = {
      model: { name: "bytes" },
      prompt: 'It\'s “so”:\n"x" $HOME',
      topK: 9,
      minP: 0.05,
      repetitionPenalty: 1.1,
      frequencyPenalty: 0.5,
      presencePenalty: -0.5,
      maxTokens: 7,
      seed: 5,
      stop: ["\n"],
    };
    const graphql = await code("GraphQL");
    expect(JSON.parse(/# variables\n(\{[^]*?\n\})\n/u.exec(graphql)?.[1] ?? "")).toEqual({ input: asked });
    lane?.next({ texts: [" by", " curl"] }, { texts: [" by", " node"] });
    expect((await run("bash", ["-c", await code("curl")])).stdout).toContain('" by"');
    expect(lane?.prompts.at(-1)).toBe(asked.prompt);
    const node = await run(process.execPath, ["--input-type=module", "-e", await code("Node")]);
    expect(node.stdout).toBe(" by nod");
    expect(lane?.prompts.at(-1)).toBe(asked.prompt);
    const python = await code("Python");
    // What OpenAI's protocol lacks is refused by its library as an argument.
    const extra = '    extra_body={"top_k":9,"min_p":0.05,"repetition_penalty":1.1},';
    for (const line of [
      extra,
      "    frequency_penalty=0.5,",
      "    max_tokens=7,",
      "    seed=5,",
      '    stop=["\\n"],',
      "    stream=True,",
    ])
      expect(python.split("\n")).toContain(line);
    await tests.shoot("playground-code");
    await expectAccessible(page, "the code");
    await expectToFit(page, "the code");
    expect(tests.complaints).toEqual([]);
  });

  test.each(["light", "dark"] as const)("is accessible and fits, %s", async (colorScheme) => {
    const page = await tests.newPage({ colorScheme });
    await page.goto(`${tests.server.url}/playground`);
    await page.getByText("Ask one to four models the same").waitFor();
    await page.getByRole("button", { name: "Add a model" }).click();
    await page.getByRole("button", { name: "spam, last checkpoint" }).waitFor();
    await expectAccessible(page, "choosing a model");
    await expectToFit(page, "choosing a model");
    await tests.shoot(`playground-picker-${colorScheme}`, page);
    await page.goto(`${tests.server.url}/playground?models=bytes,talker,${encodeURIComponent(tuned)}`);
    await page.getByLabel("Text", { exact: true }).fill("It was");
    await page.getByText("Sampling settings").click();
    await page.getByRole("button", { name: "Send" }).click();
    for (const label of ["bytes", "talker", "spam, last checkpoint"])
      await answerOf(label, page).getByText("ended by itself").waitFor();
    await expectAccessible(page, "answers");
    await expectToFit(page, "answers");
    await tests.shoot(`playground-phone-${colorScheme}`, page);
    await page.setViewportSize({ width: 1280, height: 900 });
    await tests.shoot(`playground-${colorScheme}`, page);
    await page.context().close();
  });
});
