/**
 * Builds the images of the Dockerfile by hand, since Docker needs an engine that CI does not have, and runs them: gateway and
 * worker as a service. A wrong path, a file that .dockerignore or a COPY leaves out, a step that fails, an image that does not
 * start: all of that fails here. What is not tried: the base image (this machine's /usr is in its place, with the base image's
 * release of Node from npm's registry), and apt-get (packages are looked up, not installed).
 *
 *   sudo npx tsx tests/package/image/check.ts [--devices FOLDER]
 *
 * --devices is a folder in which `steplog device install tfjs-cpu` was run: it stands in for the step that installs tfjs-gpu.
 * Without one, the GPU worker is not built. STEPLOG_TEST_DATABASE_URL is a Postgres for the service, of a superuser.
 */
import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { builder, sizesOf, type Image, type Workshop } from "./build.ts";
import { copyContext } from "./context.ts";
import { readDockerfile, type Stage } from "./dockerfile.ts";
import { tryService } from "./service.ts";

const exec = promisify(execFile);
const checkout = fileURLToPath(new URL("../../..", import.meta.url));
const started = performance.now();
const log = (line: string) =>
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s  ${line}`);

/** In place of tfjs-gpu, whose libraries no test machine has. */
const substitute = "tfjs-cpu";
const gpuInstall = "node dist/cli/steplog.js device install tfjs-gpu --source wheel";
const installSubstitute = `mkdir -p "$STEPLOG_DEVICES" && cp -a /devices/${substitute} "$STEPLOG_DEVICES/"`;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

await main();

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { devices: { type: "string" } } });
  const adminUrl = process.env["STEPLOG_TEST_DATABASE_URL"];
  if (!adminUrl) throw new Error("Set STEPLOG_TEST_DATABASE_URL to a Postgres for the service.");
  const folder = await mkdtemp(join(tmpdir(), "steplog-image-"));
  try {
    const stages = readDockerfile(await readFile(join(checkout, "Dockerfile"), "utf8"));
    checkShell(stages);
    const [node] = await Promise.all([installNode(stages, folder), copyContext(checkout, join(folder, "context"))]);
    log("the build context is copied");
    const devices = existsSync(join(values.devices ?? "", substitute)) ? resolve(values.devices ?? "") : null;
    const build = builder(await workshopIn(folder, stages, node, devices));
    // A failure waits for the others, so that nothing is left running.
    await Promise.allSettled(["gateway", "worker", "steplog"].map(build));
    const [gateway, worker, whole] = await Promise.all([build("gateway"), build("worker"), build("steplog")]);
    await printSizes({ gateway, worker, steplog: whole });
    const gpu = devices === null ? null : { image: await build("worker-gpu"), device: substitute };
    if (gpu === null) log(`NOT BUILT: worker-gpu, because there is no ${substitute} to stand in for tfjs-gpu`);
    else await printSizes({ [`worker-gpu, with ${substitute} in place of tfjs-gpu`]: gpu.image });
    await tryService({ adminUrl, folder, node, log }, gateway, worker, gpu);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** As hadolint does: the commands of RUN by shellcheck. */
function checkShell(stages: readonly Stage[]): void {
  const steps = stages.flatMap((stage) => stage.steps).filter(({ keyword }) => keyword === "RUN");
  const scripts = steps.map(({ text, line }) => `# Dockerfile:${line}\n${text}\n`);
  const { status, stdout, error } = spawnSync("shellcheck", ["--shell=sh", "-"], {
    input: scripts.join(""),
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`shellcheck: ${error?.message ?? stdout}`);
  log(`shellcheck passes ${steps.length} RUN instructions`);
}

/** @returns the folder of the `node` that the base image has, from npm's registry */
async function installNode(stages: readonly Stage[], folder: string): Promise<string> {
  const images = stages.map(({ base }) => base).filter((base) => !stages.some(({ name }) => name === base));
  const [major, ...others] = new Set(images.map((image) => /^node:(?<major>\d+)-/u.exec(image)?.groups?.["major"]));
  if (major === undefined || others.length > 0) throw new Error(`All stages start from one node: ${images.join(", ")}`);
  const name = `node-linux-${process.arch}`;
  const prefix = join(folder, "node");
  await mkdir(prefix);
  await exec("npm", ["install", "--prefix", prefix, "--no-audit", "--no-fund", `${name}@${major}`]);
  log(`node ${major} is installed`);
  return join(prefix, "node_modules", name, "bin");
}

async function workshopIn(
  folder: string,
  stages: readonly Stage[],
  node: string,
  devices: string | null,
): Promise<Workshop> {
  const npmCache = (await exec("npm", ["config", "get", "cache"])).stdout.trim();
  const settings = /^(?:https?_proxy|no_proxy|node_extra_ca_certs|ssl_cert_(?:file|dir)|npm_config_.*|pip_.*)$/iu;
  const known = Object.entries(process.env).flatMap(([name, value]) =>
    settings.test(name) && value !== undefined ? [[name, value] as const] : [],
  );
  const npmrc = join(homedir(), ".npmrc");
  return {
    stages,
    folder,
    node,
    log,
    context: join(folder, "context"),
    machine: {
      env: Object.fromEntries(known),
      mounts: [
        ...(existsSync(npmrc) ? [{ source: npmrc, target: "/root/.npmrc" }] : []),
        ...(devices === null ? [] : [{ source: devices, target: "/devices" }]),
      ],
    },
    caches: { "/root/.npm": npmCache, "/root/.cache/pip": join(folder, "pip") },
    replace: ({ text }) => (text === gpuInstall ? installSubstitute : text),
  };
}

/** Printed for deploy/README.md. */
async function printSizes(images: Readonly<Record<string, Image>>): Promise<void> {
  for (const [name, image] of Object.entries(images)) {
    const sizes = await sizesOf(image);
    const total = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
    const parts = [...sizes]
      .filter(([, bytes]) => bytes > 500_000)
      .map(([part, bytes]) => `${part} ${megabytes(bytes)}`);
    log(`${name}: ${megabytes(total)} beside the base image (${parts.join(", ")})`);
  }
}
