/**
 * The manifests of deploy/kubernetes: each is one that Kubernetes or KEDA takes; what they name is there, in the manifests, in
 * the program and in the images; the query of the scaler is that of `steplog queue`, and counts a real queue.
 */
import { randomUUID } from "node:crypto";
import { execFileSync } from "node:child_process";
import { appendFileSync, cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { type VariableName, readVariable, variables } from "../../cli/environment.ts";
import { build } from "../../cli/main.ts";
import { serveMetrics } from "../../cli/metrics-port.ts";
import { jobKinds } from "../../schema/jobs.ts";
import { packagePath } from "../../schema/package.ts";
import { workersWantedSql } from "../../store/store.ts";
import { WorkerMetrics } from "../../worker/metrics.ts";
import { readDockerfile, wholeStage } from "../package/image/dockerfile.ts";
import { type TestServer, testServer } from "../server/harness.ts";
import { claimed, directly, newRun } from "../store/fixtures.ts";
import { everything } from "../support/claims.ts";
import { type TestStore, randomName, testStore } from "../support/postgres.ts";
import {
  component,
  documents,
  documentsWithBucket,
  folder,
  kustomization,
  type models,
  podsOf,
  problemsOf,
  read,
} from "./manifests.ts";

const stages = readDockerfile(readFileSync(packagePath("Dockerfile"), "utf8"));

const pods = podsOf(documents);
const allPods = [
  ...pods.map((pod) => ({ ...pod, storage: "volume" as const, known: documents })),
  ...podsOf(documentsWithBucket).map((pod) => ({ ...pod, storage: "bucket" as const, known: documentsWithBucket })),
];

describe.each([...documents, ...documentsWithBucket])("$file: $kind $metadata.name", ({ whole }) => {
  test("is one that Kubernetes takes", () => {
    expect(problemsOf(whole)).toBe("");
  });
});

test("one with an unknown field, a wrong type or a missing part is refused", () => {
  const wholes = documents.map(({ whole }) => whole);
  const changed = (kind: keyof typeof models, change: object) => {
    const whole = wholes.find((one) => one.kind === kind);
    if (!whole) throw new Error(`there is a ${kind}`);
    return problemsOf({ ...whole, spec: { ...(whole.spec as object), ...change } });
  };
  expect(changed("Deployment", { replica: 2 })).toBe("unknown field Deployment.spec.replica");
  expect(changed("PodDisruptionBudget", { minAvailble: 1 })).toContain("unknown field");
  expect(changed("Deployment", { replicas: "two" })).toContain("replicas");
  expect(changed("Deployment", { selector: undefined })).toContain("selector");
  expect(changed("ScaledJob", { triggers: [{ type: "postgresql" }] })).toContain("metadata");
});

test("kustomize finds every file, and no two documents have one name", () => {
  const files = readdirSync(folder).filter((name) => name.endsWith(".yaml") && name !== "kustomization.yaml");
  expect(kustomization.resources.toSorted()).toEqual(files.toSorted());
  const names = documents.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  expect(new Set(names).size).toBe(names.length);
});

function kubectl(...args: readonly string[]): string | null {
  try {
    return execFileSync("kubectl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

describe.skipIf(kubectl("version", "--client") === null)("kustomize itself, where kubectl is installed", () => {
  test.each([
    ["as they are", "", documents],
    ["with the bucket", "\ncomponents:\n  - bucket\n", documentsWithBucket],
  ])("makes what is tested here of the files, %s", (_what, more, expected) => {
    const copy = mkdtempSync(join(tmpdir(), "steplog-kustomize-"));
    try {
      cpSync(folder, copy, { recursive: true });
      appendFileSync(join(copy, "kustomization.yaml"), more);
      const made = parseAllDocuments(kubectl("kustomize", copy) ?? "").map((document) => document.toJS() as unknown);
      for (const { kind, metadata, spec } of expected) {
        // Its tag and registry are those of kustomization.yaml.
        const text = JSON.stringify(spec)?.replaceAll(
          /"image":"(steplog-[\w-]+)"/gu,
          '"image":"registry.example.com/$1:0.1.0"',
        );
        const same = { ...(text !== undefined && { spec: JSON.parse(text) as unknown }) };
        const named = expect.objectContaining({ name: metadata.name }) as unknown;
        expect(made).toContainEqual(expect.objectContaining({ kind, metadata: named, ...same }));
      }
      // And the settings.
      expect(made).toHaveLength(expected.length + 1);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});

test("there is a pod for the gateway, migrations, registration, and workers on processors and GPUs", () => {
  const roles = pods.map(({ metadata }) => metadata.labels["app.kubernetes.io/name"] ?? "");
  const all = ["gateway", "migrate", "register", "worker", "worker-gpu"];
  expect(new Set(roles)).toEqual(new Set(all.map((role) => `steplog-${role}`)));
  expect(pods.map(({ metadata }) => metadata.labels["app.kubernetes.io/part-of"])).toEqual(pods.map(() => "steplog"));
});

describe.each(allPods)("the pod of $name, with a $storage", ({ spec, storage, known: around }) => {
  const [container] = spec.containers;

  test("runs a command that there is, with options that it has", async () => {
    const program = await build(() => true);
    const seen: string[] = [];
    for (const command of commandsOf(program)) {
      command.exitOverride().configureOutput({ writeErr: () => {} });
      if (command.commands.length === 0) command.action(() => void seen.push(command.name()));
    }
    await program.parseAsync([...container.args], { from: "user" });
    expect(seen).toEqual([container.args[0]]);
  });

  test("has an image that the Dockerfile makes, for that command, of this version", () => {
    const target = container.image.replace("steplog-", "");
    expect(stages.map(({ name }) => name)).toContain(target);
    expect(target === "gateway").toBe(["server", "migrate"].includes(container.args[0]));
    const { version } = JSON.parse(readFileSync(packagePath("package.json"), "utf8")) as { version: string };
    expect(kustomization.images).toContainEqual(expect.objectContaining({ name: container.image, newTag: version }));
    const { runAsUser, runAsGroup } = spec.securityContext;
    const user = wholeStage(stages, target).steps.findLast(({ keyword }) => keyword === "USER")?.text;
    expect(user).toBe(`${runAsUser}:${runAsGroup}`);
  });

  test("has settings that the program reads, from the secret that the page describes", () => {
    for (const { name, ...one } of container.env) {
      // Amazon's own are read by its library.
      if (name.startsWith("AWS_")) expect(variables.AWS_REGION.meaning).toContain(`\`${name}\``);
      else expect(Object.keys(variables)).toContain(name);
      if ("value" in one) {
        expect(String(readVariable(name as VariableName, { [name]: one.value }))).toBe(one.value);
        continue;
      }
      expect(one.valueFrom.secretKeyRef.key).toBe(name);
      expect(read("README.md")).toContain(`--from-literal=${name}=`);
    }
    // Beyond its machine the program refuses the port without the token.
    const names = container.env.map(({ name }) => name);
    if (names.includes("STEPLOG_METRICS_PORT")) expect(names).toContain("STEPLOG_METRICS_TOKEN");
  });

  test("mounts volumes that there are, where the program looks, and can write nowhere else", () => {
    const volumes = spec.volumes.map(({ name }) => name);
    expect(container.volumeMounts.map(({ name }) => name).toSorted()).toEqual(volumes.toSorted());
    const claims = JSON.stringify(spec.volumes).matchAll(/"claimName":"([^"]+)"/gu);
    const known = around.filter(({ kind }) => kind === "PersistentVolumeClaim").map(({ metadata }) => metadata.name);
    for (const [, claim] of claims) expect(known).toContain(claim);
    const paths = container.volumeMounts.map(({ mountPath }) => mountPath);
    expect(paths).toContain("/data");
    if (container.args[0] === "migrate") return;
    expect(paths).toEqual(expect.arrayContaining(["/data/models", "/tmp"]));
    expect(paths.includes("/data/storage")).toBe(storage === "volume");
    const names = container.env.map(({ name }) => name);
    expect(names.includes("AWS_SECRET_ACCESS_KEY")).toBe(storage === "bucket");
  });
});

function commandsOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap((child) => commandsOf(child))];
}

test("the settings of all of them are ones that the program takes", () => {
  const generators = [...kustomization.configMapGenerator, ...component.configMapGenerator];
  for (const literal of generators.flatMap(({ literals }) => literals)) {
    const [name = "", value = ""] = literal.split("=");
    expect(Object.keys(variables)).toContain(name);
    expect(String(readVariable(name as VariableName, { [name]: value }))).toBe(value);
  }
});

test("services, budgets and policies select pods that there are, and the policies let through what is needed", () => {
  const selectors = documents.flatMap(({ kind, spec }) => {
    const { selector, podSelector } = z
      .looseObject({ selector: z.unknown(), podSelector: z.unknown() })
      .partial()
      .parse(spec ?? {});
    const chosen = podSelector ?? (kind === "ScaledJob" || kind === "PersistentVolumeClaim" ? undefined : selector);
    const labels = z.object({ matchLabels: z.record(z.string(), z.string()) }).safeParse(chosen);
    if (chosen === undefined) return [];
    return [labels.success ? labels.data.matchLabels : z.record(z.string(), z.string()).parse(chosen)];
  });
  expect(selectors).toHaveLength(10);
  for (const selector of selectors) {
    const matching = pods.filter(({ metadata }) =>
      Object.entries(selector).every(([key, value]) => metadata.labels[key] === value),
    );
    expect(matching.length).toBeGreaterThan(0);
  }
  const port = variables.PORT.type.parse(undefined);
  const given = pods.flatMap(({ spec }) => spec.containers[0].env);
  const metricsPorts = given.flatMap((one) =>
    one.name === "STEPLOG_METRICS_PORT" && "value" in one ? [one.value] : [],
  );
  const [metricsPort] = metricsPorts.map(Number);
  const ports = pods.flatMap(({ spec }) => spec.containers[0].ports ?? []);
  const worker = { name: "metrics", containerPort: metricsPort };
  expect(ports).toEqual([{ name: "http", containerPort: port }, worker, worker]);
  const policies = JSON.stringify(documents.filter(({ kind }) => kind === "NetworkPolicy").map(({ spec }) => spec));
  for (const open of [53, 5432, port, metricsPort]) expect(policies).toContain(`"port":${open}`);
});

test("gateways reach receivers of webhooks and workers the hub, outside and not inside", () => {
  const rule = z.object({
    to: z.array(z.object({ ipBlock: z.object({ cidr: z.string(), except: z.array(z.string()) }) })),
    ports: z.array(z.object({ port: z.number(), protocol: z.literal("TCP") })),
  });
  const outside = documents.filter(({ metadata }) => metadata.name.endsWith("-outside"));
  const reached = outside.map(({ metadata, spec }) => {
    const { podSelector, egress } = z
      .object({
        podSelector: z.object({ matchLabels: z.record(z.string(), z.string()) }),
        egress: z.tuple([rule]),
      })
      .loose()
      .parse(spec);
    const [{ to, ports }] = egress;
    for (const range of ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"])
      expect(to[0]?.ipBlock.except).toContain(range);
    expect(to.map(({ ipBlock }) => ipBlock.cidr)).toEqual(["0.0.0.0/0", "::/0"]);
    const name = podSelector.matchLabels["app.kubernetes.io/name"] ?? "";
    expect(metadata.name).toBe(`${name}-outside`);
    return [name, ports.map(({ port }) => port)];
  });
  expect(Object.fromEntries(reached)).toEqual({
    "steplog-gateway": [443, 80],
    "steplog-worker": [443],
    "steplog-worker-gpu": [443],
  });
});

describe("with a service", () => {
  let server: TestServer;
  beforeAll(async () => (server = await testServer()));
  afterAll(() => server.dispose());

  test("the probes ask what the gateway answers", async () => {
    const probes = probesOf("http");
    expect(probes).toEqual(["/healthz", "/healthz", "/readyz"]);
    for (const path of probes) expect((await fetch(`${server.url}${path}`)).status).toBe(200);
  });

  test("the probes of workers ask what they answer", async () => {
    const { registry } = new WorkerMetrics();
    const port = await serveMetrics(registry, { metricsPort: 0, metricsToken: "scraper", host: "127.0.0.1" });
    if (!port) throw new Error("a worker with a port listens");
    const probes = probesOf("metrics");
    // A start and a life of workers on processors and of those on GPUs.
    expect(probes).toEqual(["/healthz", "/healthz", "/healthz", "/healthz"]);
    const base = `http://127.0.0.1:${(port.address() as AddressInfo).port}`;
    for (const path of probes) expect((await fetch(`${base}${path}`)).status).toBe(200);
    port.close();
  });
});

function probesOf(port: "http" | "metrics"): string[] {
  return pods.flatMap(({ spec }) => {
    const { startupProbe, livenessProbe, readinessProbe } = spec.containers[0];
    const all = [startupProbe, livenessProbe, readinessProbe];
    return all.flatMap((one) => (one?.httpGet.port === port ? [one.httpGet.path] : []));
  });
}

/** A worker of a pool, and what it says later. */
async function look({ store }: TestStore, pool: string, first: object) {
  const id = randomUUID();
  const about = { id, name: `a-${pool}`, device: "plain", version: "1", pool, kinds: jobKinds };
  const tell = async (can: object) => store.workers.report({ ...about, ...(await everything(store)), ...can });
  await tell(first);
  return tell;
}

describe("the scalers", () => {
  let service: TestStore;
  beforeAll(async () => (service = await testStore()));
  afterAll(() => service.drop());

  const trigger = z.object({
    type: z.literal("postgresql"),
    metadata: z.object({ query: z.string(), targetQueryValue: z.literal("1") }),
    authenticationRef: z.object({ name: z.string() }),
  });
  const triggers = documents
    .filter(({ kind }) => kind === "ScaledJob")
    .map(({ metadata, spec }) => ({
      name: metadata.name,
      ...z.object({ triggers: z.tuple([trigger]) }).parse(spec).triggers[0],
    }));
  const shares = {
    "steplog-worker": { pool: "cpu", belowBytes: 16e9 },
    "steplog-worker-gpu": { pool: "gpu", fromBytes: 16e9, leftBy: "cpu" },
  };

  test("make the query of steplog queue --sql, and log in with a key of the secret", () => {
    const queries = Object.fromEntries(triggers.map(({ name, metadata }) => [name, metadata.query]));
    expect(queries).toEqual(
      Object.fromEntries(Object.entries(shares).map(([name, share]) => [name, workersWantedSql(share)])),
    );
    // Each starts workers of the pool that its query names.
    for (const { metadata, spec } of pods) {
      const { pool } = shares[metadata.labels["app.kubernetes.io/name"] as keyof typeof shares] ?? {};
      const given = spec.containers[0].env.find(({ name }) => name === "STEPLOG_WORKER_POOL");
      expect(given).toEqual(pool && { name: "STEPLOG_WORKER_POOL", value: pool });
    }
    const names = documents.filter(({ kind }) => kind === "TriggerAuthentication").map(({ metadata }) => metadata.name);
    for (const { authenticationRef } of triggers) expect(names).toContain(authenticationRef.name);
    expect(read("README.md")).toContain("--from-literal=QUEUE_URL=");
  });

  test("count a real queue, as a user who may read the view and nothing else", async () => {
    const role = randomName();
    const ask = () =>
      directly(service.url, (sql) =>
        sql.begin(async (tx) => {
          await tx.unsafe(`set local role ${role}`);
          const answers = [];
          for (const { metadata } of triggers) answers.push(...(await tx.unsafe(metadata.query)));
          await expect(tx.savepoint((inner) => inner`select * from jobs`)).rejects.toThrow("permission denied");
          return answers.map((answer) => Object.values(answer as Record<string, number>));
        }),
      );
    await directly(service.url, async (sql) => {
      await sql.unsafe(`create role ${role}`);
      await sql.unsafe(`grant select on queue_depth to ${role}`);
    });
    try {
      expect(await ask()).toEqual([[0], [0]]);
      const name = "opt-350m";
      await service.store.modelDownloads.request({ name, repository: "facebook/opt-350m", revision: "main" });
      expect(await ask()).toEqual([[1], [0]]);
      await service.store.modelDownloads.cancel(name);
      await newRun(service.store);
      expect(await ask()).toEqual([[1], [0]]);
      const large = JSON.stringify({ memoryBytes: 16e9 });
      await directly(service.url, (sql) => sql`update jobs set needs = needs || ${large}::text::jsonb`);
      expect(await ask()).toEqual([[0], [1]]);
      // Work that no worker of these sizes can do wants none, once each has looked; a job that one holds wants that one.
      const gpu = await look(service, "gpu", { memoryBytes: 15e9 });
      expect(await ask()).toEqual([[0], [0]]);
      await gpu({ memoryBytes: 64e9 });
      expect(await ask()).toEqual([[0], [1]]);
      await directly(service.url, (sql) => sql`update jobs set needs = needs - 'memoryBytes'`);
      expect(await ask()).toEqual([[1], [0]]);
      await claimed(service.store, "a-gpu");
      expect(await ask()).toEqual([[0], [1]]);
    } finally {
      await directly(service.url, (sql) => sql.unsafe(`drop owned by ${role}`));
      await directly(service.url, (sql) => sql.unsafe(`drop role ${role}`));
    }
  });
});
