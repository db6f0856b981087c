/** Whoever reads the database, or the logs, finds no key in it: neither one that is valid nor one that has ended. */
import { createHash } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { operator } from "../../schema/projects.ts";
import { directly } from "../store/fixtures.ts";
import { askAs, everything } from "./everything.ts";
import { testServer, wsClient } from "./harness.ts";

interface Made {
  readonly key: string;
  readonly apiKey: { readonly id: string };
}

test(
  "of keys that were made, rotated, used everywhere and revoked, no more than the shown start is stored or logged",
  { timeout: 60_000 },
  async () => {
    const server = await testServer();
    onTestFinished(() => server.dispose());
    await everything(server);
    const make = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey { id } } }";
    const input = { name: "a key", scopes: ["ADMIN", "WRITE", "TRAIN", "INFER"] };
    const { administration } = server.store.of(operator);
    const boss = await administration.createKey({ name: "boss", scopes: ["admin"], expiresInS: null });
    const { createApiKey: first } = await askAs(server, boss.key)<{ createApiKey: Made }>(make, { input });
    const rotate = "mutation ($id: ID!) { rotateApiKey(id: $id) { key apiKey { id } } }";
    const { rotateApiKey: second } = await askAs(server, first.key)<{ rotateApiKey: Made }>(rotate, {
      id: first.apiKey.id,
    });
    const ask = askAs(server, second.key);
    const { createApiKey: third } = await ask<{ createApiKey: Made }>(make, { input });
    await ask("mutation ($id: ID!) { revokeApiKey(id: $id) { id } }", { id: third.apiKey.id });
    const headers = { authorization: `Bearer ${second.key}`, "tus-resumable": "1.0.0", "upload-length": "3" };
    for (const path of ["/uploads", "/datasets?name=x", "/v1/chat/completions"])
      await fetch(`${server.url}${path}`, { method: "POST", headers, body: "{}" });
    for (const path of ["/v1/models", "/datasets/x/rows.jsonl"]) await fetch(`${server.url}${path}`, { headers });
    const client = wsClient(server, { connectionParams: { authorization: `Bearer ${second.key}` } });
    for await (const { data } of client.iterate({ query: "{ viewer { apiKey { id } } }" })) expect(data).toBeTruthy();
    await client.dispose();

    const stored = await directly(server.databaseUrl, async (sql) => {
      const tables = await sql<
        { name: string }[]
      >`select quote_ident(tablename) as name from pg_tables where schemaname = 'public'`;
      const texts = [];
      for (const { name } of tables)
        texts.push(...(await sql.unsafe<{ row: string }[]>(`select t::text as row from ${name} as t`)));
      return texts.map(({ row }) => row).join("\n");
    });
    // It looked where keys are: at what is shown of each.
    const logged = server.logged.join("");
    for (const { key } of [boss, first, second, third]) {
      expect(stored).toContain(key.slice(0, 14));
      for (const text of [stored, logged]) expect(text).not.toContain(key.slice(14, 30));
      expect(stored).toContain(createHash("sha256").update(key).digest("hex"));
      // 240 bits that are chosen anew for each.
      expect(Buffer.from(key.replace(/^steplog_/u, ""), "base64url")).toHaveLength(30);
    }
    expect(new Set([boss, first, second, third].map(({ key }) => key.slice(8, 12))).size).toBe(4);
    expect(logged).toContain("request");
  },
);
