/** What finding out who asks costs: every request of every gateway does it. */
import { expect, onTestFinished, test, vi } from "vitest";
import { defaultProjectId } from "../../schema/projects.ts";
import { testStore } from "../support/postgres.ts";
import type { Sent } from "../support/statements.ts";

const sent = vi.hoisted(() => [] as Sent[]);
vi.mock("postgres", async (original) => (await import("../support/statements.ts")).counting(await original(), sent));

test("a key that was just used is looked up by one statement", async () => {
  const fixture = await testStore();
  onTestFinished(() => fixture.drop());
  const { store } = fixture;
  const input = { projectId: defaultProjectId, name: "ci", scopes: ["read"] as const, expiresInS: null };
  const { key, apiKey } = await store.keys.create(input);
  await store.keys.viewerOf(key);
  expect((await store.keys.get(apiKey.id))?.lastUsedAt).toBeInstanceOf(Date);
  sent.splice(0);
  await store.keys.viewerOf(key);
  expect(sent.map(({ text }) => text.split(" ")[0])).toEqual(["select"]);
});
