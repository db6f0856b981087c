/**
 * The manifests of deploy/kubernetes as tests read them: the documents of its files, what Kubernetes and KEDA say of each, their
 * pods, and the same with the bucket in place of the volume, as kustomize would make them.
 */
import { readFileSync } from "node:fs";
import { parse, parseAllDocuments } from "yaml";
import { z } from "zod";
import { ScaledJob, TriggerAuthentication } from "@kubernetes-models/keda/keda.sh/v1alpha1";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { CronJob } from "kubernetes-models/batch/v1/CronJob";
import { Job } from "kubernetes-models/batch/v1/Job";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { Namespace } from "kubernetes-models/v1/Namespace";
import { PersistentVolumeClaim } from "kubernetes-models/v1/PersistentVolumeClaim";
import { Service } from "kubernetes-models/v1/Service";
import { packagePath } from "../../schema/package.ts";

export const folder = packagePath("deploy/kubernetes");
export const read = (name: string) => readFileSync(`${folder}/${name}`, "utf8");

export const kustomization = z
  .object({
    resources: z.array(z.string()),
    images: z.array(z.object({ name: z.string(), newTag: z.string() })),
    // Its transformers know no references in KEDA's kinds: pods of a ScaledJob would name a ConfigMap that is not there.
    generatorOptions: z.object({ disableNameSuffixHash: z.literal(true) }),
    configMapGenerator: z.tuple([z.object({ name: z.literal("steplog"), literals: z.array(z.string()) })]),
  })
  .parse(parse(read("kustomization.yaml")));

export const models = {
  Namespace,
  PersistentVolumeClaim,
  Service,
  Deployment,
  Job,
  CronJob,
  NetworkPolicy,
  PodDisruptionBudget,
  ScaledJob,
  TriggerAuthentication,
} as const;

const head = z.looseObject({
  spec: z.unknown().optional(),
  kind: z.enum(Object.keys(models) as (keyof typeof models)[]),
  metadata: z.looseObject({ name: z.string() }),
});
export const documents = kustomization.resources.flatMap((file) =>
  parseAllDocuments(read(file)).map((document) => documentOf(file, document.toJS())),
);

function documentOf(file: string, value: unknown) {
  const whole = head.parse(value);
  return { file, whole, kind: whole.kind, metadata: whole.metadata, spec: whole.spec };
}

/** What the schema refuses, and fields that it does not know: a validator reads every field that it knows. */
export function problemsOf(whole: z.output<typeof head>): string {
  const unread = new Set<string>();
  try {
    models[whole.kind].prototype.validate.call(watched(whole, whole.kind, unread) as never);
    return [...unread].map((path) => `unknown field ${path}`).join("; ");
  } catch (error) {
    return String(error);
  }
}

/** The value, whose fields go off the list when they are read. */
function watched(value: unknown, path: string, unread: Set<string>): unknown {
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).map(([key, part]) => [key, watched(part, `${path}.${key}`, unread)] as const);
  const copy: object = Array.isArray(value) ? fields.map(([, part]) => part) : Object.fromEntries(fields);
  for (const [key] of fields) unread.add(`${path}.${key}`);
  return new Proxy(copy, {
    get(target, key) {
      unread.delete(`${path}.${String(key)}`);
      return Reflect.get(target, key) as unknown;
    },
  });
}

// What the pods run

const keyRef = z.object({ name: z.literal("steplog"), key: z.string() });
const securityContext = z.strictObject({
  allowPrivilegeEscalation: z.literal(false),
  readOnlyRootFilesystem: z.literal(true),
  capabilities: z.strictObject({ drop: z.tuple([z.literal("ALL")]) }),
});
const probe = z.looseObject({ httpGet: z.object({ path: z.string(), port: z.enum(["http", "metrics"]) }) }).optional();
const containerSchema = z.looseObject({
  image: z.string(),
  args: z.tuple([z.string()], z.string()),
  env: z.array(
    z.union([
      z.strictObject({ name: z.string(), value: z.string() }),
      z.strictObject({ name: z.string(), valueFrom: z.object({ secretKeyRef: keyRef }) }),
    ]),
  ),
  ports: z.tuple([z.object({ name: z.enum(["http", "metrics"]), containerPort: z.number() })]).optional(),
  startupProbe: probe,
  livenessProbe: probe,
  readinessProbe: probe,
  resources: z.object({
    requests: z.object({ cpu: z.string(), memory: z.string() }),
    limits: z.looseObject({ memory: z.string() }),
  }),
  securityContext,
  volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })),
});
export const podSchema = z.looseObject({
  metadata: z.object({ labels: z.record(z.string(), z.string()) }),
  spec: z.looseObject({
    automountServiceAccountToken: z.literal(false),
    securityContext: z.looseObject({ runAsNonRoot: z.literal(true), runAsUser: z.number(), runAsGroup: z.number() }),
    containers: z.tuple([containerSchema]),
    volumes: z.array(z.looseObject({ name: z.string() })),
  }),
});

/** The pod templates, wherever a document has one. */
function templatesIn(value: unknown): unknown[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value as Record<string, unknown>).flatMap(([key, part]) =>
    key === "template" ? [part] : templatesIn(part),
  );
}
export const podsOf = (all: typeof documents) =>
  all.flatMap(({ file, metadata, spec }) =>
    templatesIn(spec).map((template) => ({ name: `${file} ${metadata.name}`, ...podSchema.parse(template) })),
  );

// The bucket in place of the volume

const operationSchema = z.object({
  op: z.enum(["test", "remove", "add"]),
  path: z.string(),
  value: z.unknown().optional(),
});
const target = z.object({ kind: z.string(), name: z.string().optional() });

export const component = z
  .object({
    kind: z.literal("Component"),
    configMapGenerator: z.tuple([
      z.object({ name: z.literal("steplog"), behavior: z.literal("merge"), literals: z.array(z.string()) }),
    ]),
    patches: z.array(
      z.union([z.strictObject({ target, path: z.string() }), z.strictObject({ target, patch: z.string() })]),
    ),
  })
  .loose()
  .parse(parse(read("bucket/kustomization.yaml")));

/** The documents with the component: patches by operations, and one way to delete a document. */
export const documentsWithBucket = documents.flatMap((document) => {
  const mine = component.patches.filter(
    ({ target: { kind, name } }) => kind === document.kind && (name === undefined || name === document.metadata.name),
  );
  if (mine.some((one) => "patch" in one && one.patch.includes("$patch: delete"))) return [];
  const whole: unknown = structuredClone(document.whole);
  for (const one of mine)
    if ("path" in one)
      for (const operation of z.array(operationSchema).parse(parse(read(`bucket/${one.path}`))))
        change(whole, operation);
  return [documentOf(document.file, whole)];
});

/** As RFC 6902 has it, for what is used: a value is there, an item of a list goes, and one comes last. */
function change(whole: unknown, { op, path, value }: z.output<typeof operationSchema>): void {
  const keys = path.split("/").slice(1);
  const last = keys.pop() ?? "";
  const at = keys.reduce<unknown>((part, key) => Reflect.get(Object(part) as object, key), whole);
  if (op === "test" && Reflect.get(Object(at) as object, last) === value) return;
  if (op === "remove" && Array.isArray(at) && Number(last) < at.length) return void at.splice(Number(last), 1);
  if (op === "add" && Array.isArray(at) && last === "-") return void at.push(value);
  throw new Error(`bucket/: ${op} ${path} cannot be done`);
}
