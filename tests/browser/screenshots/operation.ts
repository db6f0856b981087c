/** What somebody operates in the story: keys, projects, usage, webhooks; written so that it is the same each time. */
import postgres from "postgres";
import { defaultProjectId } from "../../../schema/projects.ts";
import type { TestServer } from "../../server/harness.ts";

/** @returns the key of the operator, whose pages are shown */
export async function tellOfOperation(server: TestServer): Promise<string> {
  await server.ask(
    `mutation { setProjectQuotas(quotas: { bytes: 2000000000, concurrentRuns: 4, stepsAMonth: 200000 }) { name } }`,
  );
  const boss = await makeKey(server, null, "operator", ["READ", "WRITE", "TRAIN", "INFER", "ADMIN"]);
  const project = await ask<{ createProject: { id: string } }>(
    server,
    boss,
    'mutation { createProject(name: "search team") { id } }',
  );
  await makeKey(server, boss, "nightly training", ["READ", "TRAIN"]);
  await makeKey(server, boss, "the shop's server", ["INFER"]);
  await makeKey(server, boss, "search team, all", ["READ", "WRITE", "TRAIN", "INFER"], project.createProject.id);
  const sql = postgres(server.databaseUrl, { max: 1, onnotice: () => {} });
  await countUsage(sql);
  await addWebhooks(sql);
  await sql.end();
  return boss;
}

async function makeKey(
  server: TestServer,
  by: string | null,
  name: string,
  scopes: readonly string[],
  project?: string,
) {
  const query = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key } }";
  const input = { name, scopes, ...(project !== undefined && { project }) };
  return (await ask<{ createApiKey: { key: string } }>(server, by, query, { input })).createApiKey.key;
}

async function ask<T>(server: TestServer, key: string | null, query: string, variables: object = {}): Promise<T> {
  const response = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key !== null && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data?: T; errors?: unknown };
  if (!data || errors) throw new Error(JSON.stringify(errors));
  return data;
}

/** Four weeks up to the day that the pictures show, with quiet weekends. */
async function countUsage(sql: postgres.Sql): Promise<void> {
  await sql`delete from usage_days`;
  await sql`
    insert into usage_days (project_id, day, kind, session, amount)
    select ${defaultProjectId}, day, kind, 0, round(size * (case when extract(isodow from day) > 5 then 0.15 else 1 end)
      * (0.6 + 0.4 * sin(extract(day from day))))
    from generate_series(date '2026-02-11', date '2026-03-12', interval '1 day') as day,
      (values ('STEPS', 9000), ('STEP_SECONDS', 7200), ('TOKENS_TRAINED', 2400000), ('TOKENS_GENERATED', 310000),
        ('BYTES', 4800000)) as kinds (kind, size)`;
}

async function addWebhooks(sql: postgres.Sql): Promise<void> {
  const endpoints = [
    {
      id: idOf(1),
      url: "https://chat.example.com/hooks/training",
      description: "The channel of the team",
      events: ["fine_tune.succeeded", "fine_tune.failed"],
      failing_since: null,
    },
    {
      id: idOf(2),
      url: "https://build.example.com/steplog",
      description: "Deploys the best checkpoint",
      events: [],
      failing_since: ago(50),
    },
  ];
  for (const endpoint of endpoints)
    await sql`insert into webhook_endpoints ${sql({ ...endpoint, secret: "whsec_c2VjcmV0", created_at: ago(20_000) })}`;
  const messages = [
    { type: "dataset.created", minutes: 205, answers: [500, 204] },
    { type: "fine_tune.started", minutes: 190, answers: [204] },
    { type: "fine_tune.failed", minutes: 50, answers: [503, 503, 503] },
  ];
  for (const [index, { type, minutes, answers }] of messages.entries())
    await addMessage(sql, { id: idOf(10 + index), type, minutes, answers });
}

interface Message {
  readonly id: string;
  readonly type: string;
  readonly minutes: number;
  /** Status codes, one an attempt. */
  readonly answers: readonly number[];
}

async function addMessage(sql: postgres.Sql, { id, type, minutes, answers }: Message): Promise<void> {
  const at = ago(minutes);
  const payload = JSON.stringify({ type, timestamp: at, data: { name: "reviews, LoRA 8" } });
  const status = answers.at(-1) === 204 ? "DELIVERED" : "PENDING";
  await sql`insert into webhook_messages ${sql({ id, project_id: defaultProjectId, type, payload, created_at: at })}`;
  await sql`insert into webhook_deliveries ${sql({ id, message_id: id, endpoint_id: idOf(2), status, attempts: answers.length, failures: answers.filter((code) => code !== 204).length, next_attempt_at: ago(-35), created_at: at })}`;
  for (const [index, code] of answers.entries()) {
    const error = code === 204 ? null : `The receiver answered ${code}.`;
    await sql`insert into webhook_attempts ${sql({ delivery_id: id, number: index + 1, at: ago(minutes - 5 * index), seconds: 0.21, response_code: code, error })}`;
  }
}

const idOf = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
