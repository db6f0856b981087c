/** What a service owes its tenants, whatever happened to it meanwhile. */
import { expect } from "vitest";
import { directly } from "../store/fixtures.ts";
import { until } from "./service.ts";
import type { Result, Tenant } from "./tenant.ts";

export function expectSame(result: Result, expected: Result | undefined): void {
  expect(result.digest).toBe(expected?.digest);
  expect(result.log.equals(expected?.log ?? Buffer.alloc(0))).toBe(true);
}

/** What was acknowledged is there; a request that was repeated with its key made one run. */
export async function expectAllThere(one: Tenant): Promise<void> {
  const things = await one.things();
  expect(things.datasets).toEqual(expect.arrayContaining(one.datasets));
  expect(things.runs.toSorted()).toEqual([...one.following.keys()].toSorted());
}

/** What is left waits for minutes after two failures. */
export async function deliverAll(url: string): Promise<void> {
  await until("all webhooks", 60_000, () =>
    directly(url, async (sql) => {
      // Attempts of gateways that live are left to end.
      await sql`update webhook_deliveries set next_attempt_at = now()
        where status = 'PENDING' and (failures > 0 or next_attempt_at < now() + interval '15 seconds')`;
      return (await sql`select 1 from webhook_deliveries where status <> 'DELIVERED'`).length === 0;
    }),
  );
}

/** Every message of the project came, to its own receiver alone, under one id; each change was told in one message. */
export async function expectDelivered(url: string, one: Tenant): Promise<void> {
  const id = atob(one.project).split(":")[1] ?? "";
  const messages = await directly(
    url,
    (sql) => sql`select 'msg_' || id as id, type, payload from webhook_messages where project_id = ${id}`,
  );
  const sent = new Map(messages.map((message) => [String(message["id"]), String(message["payload"])]));
  expect(new Set(one.received.map((message) => message.id))).toEqual(new Set(sent.keys()));
  expect(new Set(one.acknowledged.keys())).toEqual(new Set(sent.keys()));
  for (const message of one.received) expect(message.body).toBe(sent.get(message.id));
  const toldOf = (type: string) =>
    [...sent.values()]
      .map((payload) => JSON.parse(payload) as { type: string; data: { id: string } })
      .flatMap((payload) => (payload.type === type ? [payload.data.id] : []))
      .toSorted();
  const { runs, datasets } = await one.things();
  expect(toldOf("fine_tune.succeeded")).toEqual(runs.toSorted());
  expect(toldOf("dataset.created")).toEqual(datasets.toSorted());
}

export async function expectApart(tenants: readonly Tenant[]): Promise<void> {
  const things = await Promise.all(tenants.map(async (one) => Object.values(await one.things()).flat()));
  expect(new Set(things.flat()).size).toBe(things.flat().length);
  for (const one of tenants) {
    for (const id of tenants.flatMap((other) => (other === one ? [] : [...other.following.keys()])))
      await expect(one.client.fineTune(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  }
}
