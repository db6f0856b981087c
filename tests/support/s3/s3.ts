/** A real S3 server (server.py) with a bucket, as a process that tests may kill and start again. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { BucketBlobsOptions } from "../../../store/store.ts";

/** Debian's own: its packages are not seen by others. */
const python = "/usr/bin/python3";

/** Why there is none; null where one can be started. */
export const whyNoS3 = findWhy();

function findWhy(): string | null {
  const { status } = spawnSync(python, ["-c", "import swift, eventlet, paste.deploy"]);
  if (status === 0) return null;
  const why = "no S3 server: apt-get install --no-install-recommends python3-swift";
  if (process.env["CI"]) throw new Error(`${why}. CI has what tests need.`);
  return why;
}

export interface TestS3 {
  readonly endpoint: string;
  readonly options: BucketBlobsOptions;
  /** For processes that use it, under the prefix. */
  env(prefix?: string): Readonly<Record<string, string>>;
  client(): S3Client;
  kill(): Promise<void>;
  /** On the same port, with what it had stored. */
  start(): Promise<void>;
  end(): Promise<void>;
}

const credentials = { AWS_ACCESS_KEY_ID: "steplog:tests", AWS_SECRET_ACCESS_KEY: "secret" } as const;
const bucket = "steplog-tests";

/** Tests in this process get the credentials by the environment, as processes do. */
export async function startS3(): Promise<TestS3> {
  const folder = await mkdtemp(join(tmpdir(), "steplog-s3-"));
  Object.assign(process.env, credentials);
  const first = await startServer(folder, 0);
  const { endpoint } = first;
  let { child } = first;
  const client = () =>
    new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, requestChecksumCalculation: "WHEN_REQUIRED" });
  await client().send(new CreateBucketCommand({ Bucket: bucket }));
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  const place = { endpoint, publicEndpoint: undefined, region: "us-east-1", pathStyle: true };
  return {
    endpoint,
    options: { bucket, prefix: "", ...place, hasLinks: true },
    env: (prefix = "") => ({
      STEPLOG_STORAGE: `s3://${bucket}/${prefix}`,
      STEPLOG_S3_ENDPOINT: endpoint,
      ...credentials,
    }),
    client,
    kill,
    async start() {
      ({ child } = await startServer(folder, Number(new URL(endpoint).port)));
    },
    async end() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startServer(folder: string, port: number): Promise<{ child: ChildProcess; endpoint: string }> {
  const program = fileURLToPath(new URL("server.py", import.meta.url));
  const child = spawn(python, [program, folder, String(port)], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (text: Buffer) => (said += text.toString()));
  const address = new Promise<string>((resolve) => {
    child.stdout.once("data", (text: Buffer) => resolve(text.toString().trim()));
  });
  const gone = once(child, "exit").then(() => {
    throw new Error(`The S3 server ended:\n${said}`);
  });
  gone.catch(() => {});
  return { child, endpoint: await Promise.race([address, gone]) };
}
