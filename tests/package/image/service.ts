/** The images as a service: gateway and worker start as their ENTRYPOINT and CMD say, on a database of their own. */
import { execFile, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { open, readFile, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import postgres from "postgres";
import type { Image } from "./build.ts";
import { run, start, stop, type Mount, type Program } from "./room.ts";

export interface Place {
  /** Of a superuser. */
  readonly adminUrl: string;
  /** For the volume and for logs. */
  readonly folder: string;
  /** The folder of the base image's `node`. */
  readonly node: string;
  log(line: string): void;
}

/** Beside the stages of tests, a service has a tenth of a processor at times. */
const limitSeconds = 300;

/** What `docker run IMAGE [ARGS]` would start. */
type Start = (args?: readonly string[]) => Program;

/**
 * @param gpu the GPU worker with a device in the GPU's place; null where there is none
 * @throws Error saying what the images did not do
 */
export async function tryService(place: Place, gateway: Image, worker: Image, gpu: GpuWorker | null): Promise<void> {
  const data = await volume(place, gateway);
  const port = await freePort();
  await withDatabase(place.adminUrl, async (databaseUrl) => {
    const url = `http://127.0.0.1:${port}`;
    const shared = {
      DATABASE_URL: databaseUrl,
      STEPLOG_API_TOKEN: randomBytes(24).toString("hex"),
      // A room has no network of its own.
      STEPLOG_HOST: "127.0.0.1",
      PORT: String(port),
      STEPLOG_URL: url,
    };
    const asGateway: Start = (args) => programOf(place.node, gateway, shared, [data], args);
    const asWorker: Start = (args) =>
      programOf(place.node, worker, { ...shared, STEPLOG_DEVICE: "native" }, [data], args);

    await refuseWritable(gateway, asGateway());
    await must(worker, asWorker(["model", "add", "demo/base", "--name", "demo"]));
    if (await isHealthy(gateway, asGateway())) throw new Error("The health check passes before the gateway runs.");
    await using services = await startAll(place, [
      { name: "gateway", image: gateway, program: asGateway() },
      { name: "worker", image: worker, program: asWorker() },
    ]);
    await services.until("the gateway is healthy", () => isHealthy(gateway, asGateway()));
    await hasPage(url);
    place.log("the gateway is healthy, and serves the page");
    await train(join(place.folder, "volume"), worker, asWorker);
    place.log("the worker trained the demo model, and rebuilt it from its log");
    if (gpu !== null) await tryGpuWorker(place, gpu, shared, data);
    await services.stop();
    place.log("both ended cleanly on SIGTERM");
  });
}

export interface GpuWorker {
  readonly image: Image;
  /** As STEPLOG_DEVICE names it. */
  readonly device: string;
}

/** Without its GPU it refuses to start, and says what is missing; with the other device it rebuilds the same bits. */
async function tryGpuWorker(place: Place, { image, device }: GpuWorker, env: Env, data: Mount): Promise<void> {
  const asWorker: Start = (args) => programOf(place.node, image, env, [data], args);
  const refused = await run(image.root, asWorker());
  if (refused.code === 0 || !refused.output.includes("tfjs-gpu")) {
    throw new Error(`Without a GPU the GPU worker ended with ${refused.code}:\n${refused.output}`);
  }
  const log = ["--log", "/data/storage/demo.steplog", "--base", "demo/base", "--out", "/data/storage/again"];
  await must(image, asWorker(["reconstruct", ...log, "--verify", "--device", device]));
  place.log(`the GPU worker refuses to start without a GPU, and rebuilt the model on ${device}`);
}

type Env = Readonly<Record<string, string>>;

function programOf(
  node: string,
  image: Image,
  env: Env,
  volumes: readonly Mount[],
  args: readonly string[] = image.cmd,
): Program {
  return {
    argv: [...image.entrypoint, ...args],
    env: { HOME: "/home/node", ...image.env, ...env },
    cwd: image.cwd,
    user: image.user,
    mounts: [{ source: node, target: "/node" }, ...volumes],
  };
}

/** A new volume has what the image has in its place, and its owner. */
async function volume({ folder }: Place, { root, volumes }: Image): Promise<Mount> {
  const [target = "", ...others] = volumes;
  if (target === "" || others.length > 0) throw new Error(`One volume is expected: ${volumes.join(", ")}`);
  const source = join(folder, "volume");
  await promisify(execFile)("cp", ["-a", join(root, target), source]);
  return { source, target };
}

/** The program belongs to root, and so cannot be changed by the processes that run it. */
async function refuseWritable(image: Image, program: Program): Promise<void> {
  const { code } = await run(image.root, {
    ...program,
    argv: ["sh", "-c", "[ $(id -u) -ne 0 ] && ! touch dist/x 2>&1"],
  });
  if (code !== 0) throw new Error("The gateway runs as root, or may write into its own program.");
}

async function isHealthy(image: Image, program: Program): Promise<boolean> {
  if (image.healthcheck === null) throw new Error("The gateway has no HEALTHCHECK.");
  return (await run(image.root, { ...program, argv: image.healthcheck })).code === 0;
}

async function hasPage(url: string): Promise<void> {
  const answer = await fetch(url);
  if (!answer.ok || !(await answer.text()).includes("<script")) throw new Error(`No page: ${answer.status}`);
}

/** The demo's task, shortened; the log that it leaves must rebuild the weights that were trained. */
async function train(data: string, worker: Image, asWorker: Start): Promise<void> {
  const task = JSON.parse(await readFile(join(worker.root, "app/demo/task.json"), "utf8")) as Task;
  const settings = {
    ...task,
    baseModel: "demo",
    dataset: "/app/demo/train.jsonl",
    log: "/data/storage/demo.steplog",
    hyperparameters: { ...task.hyperparameters, steps: 60 },
  };
  await writeFile(join(data, "demo.json"), JSON.stringify(settings), { mode: 0o644 });
  await must(worker, asWorker(["tune", "/data/demo.json"]));
  const log = ["--log", settings.log, "--base", "demo/base", "--out", "/data/storage/rebuilt"];
  await must(worker, asWorker(["reconstruct", ...log, "--verify"]));
}

interface Task {
  readonly labelWords: readonly string[];
  readonly hyperparameters: Readonly<Record<string, unknown>>;
}

/** Runs a program that must end well, and in time. */
async function must(image: Image, program: Program): Promise<string> {
  const argv = ["timeout", String(limitSeconds), ...program.argv];
  const { code, output } = await run(image.root, { ...program, argv });
  if (code !== 0) throw new Error(`${program.argv.join(" ")} ended with ${code}:\n${output}`);
  return output;
}

interface Service {
  readonly name: string;
  readonly image: Image;
  readonly program: Program;
}

async function startAll(place: Place, services: readonly Service[]) {
  const logOf = ({ name }: Service) => join(place.folder, `${name}.log`);
  const running: { service: Service; child: ChildProcess }[] = [];
  for (const service of services) {
    const output = await open(logOf(service), "w");
    running.push({ service, child: start(service.image.root, service.program, output.fd) });
    await output.close();
  }
  const refuseEnded = async () => {
    const ended = running.find(({ child }) => child.exitCode !== null);
    if (ended === undefined) return;
    const log = await readFile(logOf(ended.service), "utf8");
    throw new Error(`The ${ended.service.name} ended with ${ended.child.exitCode}:\n${log}`);
  };
  return {
    /** @throws Error if it is not so in time, or a service ends */
    async until(what: string, isSo: () => Promise<boolean>) {
      const end = performance.now() + limitSeconds * 1000;
      while (!(await isSo())) {
        await refuseEnded();
        if (performance.now() > end) throw new Error(`Not within ${limitSeconds} s: ${what}.`);
        await sleep(200);
      }
    },
    async stop() {
      await refuseEnded();
      for (const { service, child } of running) {
        const code = await stop(child);
        if (code !== 0) throw new Error(`On SIGTERM the ${service.name} ended with ${code}.`);
      }
    },
    async [Symbol.asyncDispose]() {
      for (const { child } of running) child.kill("SIGKILL");
    },
  };
}

async function withDatabase(adminUrl: string, use: (url: string) => Promise<void>): Promise<void> {
  const admin = postgres(adminUrl, { max: 1, onnotice: () => {} });
  const name = `steplog_image_${randomBytes(6).toString("hex")}`;
  await admin.unsafe(`create database ${name}`);
  try {
    const url = new URL(adminUrl);
    url.pathname = `/${name}`;
    await use(url.href);
  } finally {
    await admin.unsafe(`drop database ${name} with (force)`);
    await admin.end();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
