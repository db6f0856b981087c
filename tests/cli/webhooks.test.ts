/** Webhooks on the command line, with a real receiver: made, tested, changed, looked at, replayed, deleted. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { namesOfService } from "../../cli/completion/service-names.ts";
import { createDataset, testServer, type TestServer } from "../server/harness.ts";
import { startReceiver, type Receiver } from "../server/webhook-receiver.ts";
import { steplogHere } from "../support/command.ts";

let server: TestServer;
let receiver: Receiver;
let short: string;
beforeAll(async () => {
  server = await testServer({ allowPrivateWebhooks: ["localhost"] });
  receiver = await startReceiver();
}, 60_000);
afterAll(async () => {
  await server.dispose();
  await receiver.close();
});

const steplog = (...args: string[]) => steplogHere(["webhooks", ...args, "--url", server.url]);
const listed = async () =>
  (JSON.parse((await steplog("ls", "--json")).stdout) as { webhooks: { url: string; enabled: boolean }[] }).webhooks;

test("one is made, and its secret printed once", async () => {
  expect((await steplog("ls")).stdout).toBe("There are no webhooks. Make one: steplog webhooks create ADDRESS\n");
  const args = ["create", receiver.url, "--description", "tells the team"];
  const { code, stdout, stderr } = await steplog(...args, "--event", "dataset.created", "alias.set");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^whsec_\S+\n$/u);
  receiver.secret = stdout.trim();
  const said =
    /^The webhook ([0-9a-f]{8}) tells (\S+) of dataset\.created, alias\.set\. Keep its secret now: it is not/u;
  [, short = ""] = said.exec(stderr) ?? [];
  expect(short).not.toBe("");
  expect((await steplog("ls")).stdout).toContain(`${short}  ${receiver.url}  enabled`);
  expect((await steplog("ls", "--json")).stdout).not.toContain("whsec_");
  expect(await namesOfService("webhook", server.url)).toEqual([{ value: short, meaning: receiver.url }]);
});

test("a wrong type, and an address that is none, are refused with what is right", async () => {
  const { code, stderr } = await steplog("create", receiver.url, "--event", "dataset.creatd");
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining("Did you mean") as string });
  expect(await steplog("create", "localhost")).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/^INVALID_ARGUMENT/u) as string,
  });
  expect(await listed()).toHaveLength(1);
});

test.each([
  ["the beginning of its id", () => short],
  ["its address", () => receiver.url],
  ["its description", () => "tells the team"],
])("a test is received, signed; it is called by %s", async (_what, given) => {
  const before = receiver.received.length;
  expect(await steplog("test", given())).toMatchObject({ code: 0, stdout: "Received: answered 204\n" });
  expect(receiver.received.slice(before).map(({ message }) => message.type)).toEqual(["webhook.test"]);
});

test("a test that nobody receives fails with what answered", async () => {
  receiver.answer = (_request, response) => void response.writeHead(500).end("out of order");
  const { code, stdout } = await steplog("test", short, "--json");
  expect(code).toBe(4);
  expect(JSON.parse(stdout)).toMatchObject({
    type: "webhook.test",
    status: "FAILED",
    attempts: [{ responseCode: 500 }],
  });
  expect((await steplog("test", short)).stdout).toMatch(/^Not received: .*500/u);
  receiver.answer = (_request, response) => void response.writeHead(204).end();
});

test("what was sent is listed, page by page, and sent again", async () => {
  const from = new Date(Date.now() - 60_000).toISOString();
  const before = receiver.received.length;
  await createDataset(server);
  await receiver.until(before + 1);
  const { stdout } = await steplog("deliveries", short, "--status", "delivered", "--limit", "1");
  const [headings, row = ""] = stdout.split("\n");
  expect(headings).toMatch(/^MESSAGE +TYPE +STATUS +ATTEMPTS +MADE +NEXT +LAST ATTEMPT$/u);
  const [message = ""] = row.split(/\s{2,}/u);
  expect(row).toMatch(/^msg_\S+ +dataset\.created +DELIVERED +1 .*answered 204$/u);
  const [, after = ""] = /--after (\S+)\. All of them/u.exec(stdout) ?? [];
  const next = JSON.parse((await steplog("deliveries", short, "--after", after, "--json")).stdout) as {
    deliveries: { type: string }[];
  };
  expect(new Set(next.deliveries.map(({ type }) => type))).toEqual(new Set(["webhook.test"]));

  expect((await steplog("replay", short)).stderr).toContain("Say what to send again: --message ID or --since TIME.");
  expect((await steplog("replay", short, "--message", message)).stdout).toBe("1 message will be sent again.\n");
  expect((await receiver.until(before + 2)).at(-1)?.id).toBe(message);
  expect(JSON.parse((await steplog("replay", short, "--since", from, "--json")).stdout)).toEqual({ sent: 1 });
  await receiver.until(before + 3);
});

test("it is changed: what is named, and nothing else", async () => {
  expect((await steplog("change", short, "--disable", "--all-events")).stdout).toBe(
    `The webhook ${short} tells ${receiver.url} of all changes. It is disabled.\n`,
  );
  const moved = await steplog("change", short, "--address", `${receiver.url}/moved`, "--enable", "--json");
  expect(JSON.parse(moved.stdout)).toMatchObject({
    url: `${receiver.url}/moved`,
    description: "tells the team",
    events: [],
    enabled: true,
  });
  expect((await steplog("change", short)).stderr).toContain("Say what to change: --address,");
});

test("it gets a new secret, with which messages are signed too", async () => {
  const { stdout, stderr } = await steplog("secret", short);
  expect(stderr).toContain("not shown again. For 24 hours messages are signed with the old one too.");
  expect(stdout.trim()).not.toBe(receiver.secret);
  receiver.secret = stdout.trim();
  expect((await steplog("test", short)).code).toBe(0);
});

test("it is deleted when somebody agrees; then there is none, and that is said", async () => {
  expect((await steplog("delete", short)).stderr).toMatch(/Delete the webhook .* Nobody can be asked here: add --yes/u);
  expect(await listed()).toHaveLength(1);
  expect((await steplog("delete", short, "--yes")).stdout).toBe(`The webhook ${short} is deleted.\n`);
  expect(await listed()).toEqual([]);
  expect((await steplog("test", short)).stderr).toMatch(
    /^NOT_FOUND: There is no webhook .*List them: steplog webhooks ls/u,
  );
});
