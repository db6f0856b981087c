/**
 * Builds the stages of a Dockerfile by hand, each in a clean room: COPY from the context or from another stage, RUN as it is
 * written, apt-get only as far as Debian's archive knows the packages. A stage is built once, and stages that do not need each
 * other are built at the same time. An instruction or flag that is not known here is an error, not passed over.
 */
import { execFile } from "node:child_process";
import { mkdir, readdir, stat } from "node:fs/promises";
import { basename, join, posix } from "node:path";
import { promisify } from "node:util";
import { commandsOf, type Stage, type Step } from "./dockerfile.ts";
import { furnish, run, type Mount } from "./room.ts";

const exec = promisify(execFile);

/** Files are linked, not copied: no step changes a file that an earlier one made. */
const link = ["-a", "--link"];

export interface Image {
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly healthcheck: readonly string[] | null;
  readonly volumes: readonly string[];
  /** Packages of Debian's that it has beside the base image's. */
  readonly packages: readonly string[];
}

export interface Workshop {
  readonly stages: readonly Stage[];
  /** Where rooms are made. */
  readonly folder: string;
  readonly context: string;
  /** The folder of the base image's `node`. */
  readonly node: string;
  /** Machine's settings that builds need: certificates, registries, proxies. */
  readonly machine: { readonly env: Readonly<Record<string, string>>; readonly mounts: readonly Mount[] };
  /** What a cache mount's target is on this machine. */
  readonly caches: Readonly<Record<string, string>>;
  /** Replaces a command of a RUN that cannot be run here; says so itself. */
  replace(step: Step): string;
  log(line: string): void;
}

const path = "/node:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** @returns builds a stage by its name */
export function builder(workshop: Workshop): (name: string) => Promise<Image> {
  const built = new Map<string, Promise<Image>>();
  const build = (name: string): Promise<Image> => {
    const stage = workshop.stages.find((each) => each.name === name);
    if (stage === undefined) throw new Error(`The Dockerfile has no stage ${name}.`);
    const image = built.get(name) ?? buildStage(workshop, stage, build);
    built.set(name, image);
    return image;
  };
  return build;
}

async function buildStage(workshop: Workshop, stage: Stage, build: (name: string) => Promise<Image>): Promise<Image> {
  let image = await startFrom(workshop, stage, build);
  for (const step of stage.steps) {
    const started = performance.now();
    try {
      image = changed(image, await carryOut(workshop, image, step, build));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`Dockerfile:${step.line} (stage ${stage.name}): ${step.keyword} ${step.text}\n${reason}`, {
        cause: error,
      });
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (step.keyword === "RUN") workshop.log(`${stage.name}: ${step.text} (${seconds} s)`);
  }
  return image;
}

async function startFrom(workshop: Workshop, stage: Stage, build: (name: string) => Promise<Image>): Promise<Image> {
  const root = join(workshop.folder, stage.name);
  if (workshop.stages.some(({ name }) => name === stage.base)) {
    const base = await build(stage.base);
    await exec("cp", [...link, base.root, root]);
    return { ...base, root };
  }
  await mkdir(root);
  await furnish(root);
  return {
    root,
    env: { PATH: path },
    cwd: "/",
    user: "0:0",
    entrypoint: [],
    cmd: [],
    healthcheck: null,
    volumes: [],
    packages: [],
  };
}

type Change = Partial<Image>;

const changed = (image: Image, change: Change): Image => Object.assign({}, image, change);

async function carryOut(
  workshop: Workshop,
  image: Image,
  step: Step,
  build: (name: string) => Promise<Image>,
): Promise<Change> {
  switch (step.keyword) {
    case "WORKDIR":
      await mkdir(join(image.root, step.text), { recursive: true });
      return { cwd: step.text };
    case "ENV":
      return { env: { ...image.env, ...Object.fromEntries(step.pairs) } };
    case "USER":
      if (!/^\d+:\d+$/u.test(step.text)) throw new Error("Give the user and the group as numbers.");
      return { user: step.text };
    case "VOLUME":
      return { volumes: [...image.volumes, step.text] };
    case "EXPOSE":
    case "LABEL":
      return {};
    case "ENTRYPOINT":
      return { entrypoint: wordsOf(step), cmd: [] };
    case "CMD":
      return { cmd: wordsOf(step) };
    case "HEALTHCHECK":
      return { healthcheck: step.text === "NONE" ? null : (JSON.parse(step.text.replace(/^CMD\s+/u, "")) as string[]) };
    case "COPY":
      await copy(workshop, image, step, build);
      return {};
    case "RUN":
      return carryOutRun(workshop, image, step);
    default:
      throw new Error("This instruction is not known here.");
  }
}

function wordsOf({ words }: Step): readonly string[] {
  if (words === null) throw new Error("Write it as a JSON array.");
  return words;
}

async function copy(
  workshop: Workshop,
  image: Image,
  step: Step,
  build: (name: string) => Promise<Image>,
): Promise<void> {
  const other = step.flags.find(({ name }) => name !== "from");
  if (other !== undefined) throw new Error(`COPY --${other.name} is not known here.`);
  const [from] = step.flags;
  const source = from === undefined ? workshop.context : (await build(from.value)).root;
  const names = step.text.split(/\s+/u);
  const target = names.pop() ?? "";
  const place = join(image.root, posix.resolve(image.cwd, target));
  const intoFolder = names.length > 1 || target.endsWith("/") || target === ".";
  for (const name of names) await copyOne(join(source, name), place, intoFolder);
}

/** As COPY does: the contents of a folder; a file to the target, or into it. */
async function copyOne(source: string, place: string, intoFolder: boolean): Promise<void> {
  const found = await stat(source).catch(() => {
    throw new Error(`${source} is not there: .dockerignore leaves it out, or no step makes it.`);
  });
  if (found.isDirectory()) {
    await mkdir(place, { recursive: true });
    await exec("cp", [...link, `${source}/.`, place]);
    return;
  }
  await mkdir(intoFolder ? place : join(place, ".."), { recursive: true });
  await exec("cp", [...link, source, intoFolder ? join(place, basename(source)) : place]);
}

async function carryOutRun(workshop: Workshop, image: Image, step: Step): Promise<Change> {
  if (step.text.startsWith("apt-get ")) return { packages: [...image.packages, ...(await checkPackages(step))] };
  const caches = await Promise.all(step.flags.map((flag) => cacheMount(workshop, flag)));
  const { code, output } = await run(image.root, {
    argv: ["sh", "-c", workshop.replace(step)],
    env: { ...workshop.machine.env, HOME: image.user === "0:0" ? "/root" : "/home/node", ...image.env },
    cwd: image.cwd,
    user: image.user,
    mounts: [{ source: workshop.node, target: "/node" }, ...workshop.machine.mounts, ...caches],
  });
  if (code !== 0) throw new Error(`It ended with ${code}:\n${output.split("\n").slice(-40).join("\n")}`);
  return {};
}

async function cacheMount({ caches }: Workshop, flag: { name: string; value: string }): Promise<Mount> {
  const { target } = /^type=cache,target=(?<target>\/[^,]+)$/u.exec(flag.value)?.groups ?? {};
  const source = caches[target ?? ""];
  if (flag.name !== "mount" || target === undefined || source === undefined) {
    throw new Error(`RUN --${flag.name}=${flag.value} is not known here.`);
  }
  await mkdir(source, { recursive: true });
  return { source, target };
}

/**
 * The packages of an apt-get step must be in Debian's archive, and installed on this machine, whose /usr rooms have.
 * @returns their names
 */
async function checkPackages(step: Step): Promise<string[]> {
  const install = commandsOf(step).find((words) => words[1] === "install");
  const packages = install?.slice(2).filter((word) => !word.startsWith("-")) ?? [];
  const names = packages.join(" ");
  if (!(await succeeds("apt-get", ["install", "-s", "--no-install-recommends", ...packages]))) {
    throw new Error(`Debian does not have all of ${names}, or its lists are missing here (apt-get update).`);
  }
  if (!(await succeeds("dpkg-query", ["-W", ...packages]))) throw new Error(`First: apt-get install ${names}`);
  return packages;
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  return exec(program, [...args]).then(
    () => true,
    () => false,
  );
}

/** @returns what an image adds to its base, in bytes: the folders in /app, its other files, and Debian's packages */
export async function sizesOf({ root, packages }: Image): Promise<Map<string, number>> {
  const inApp = (await readdir(join(root, "app"))).map((name) => `app/${name}`);
  const sizes = await Promise.all([...inApp, "data", "home", "root", "tmp"].map((name) => bytesOf(join(root, name))));
  const debian = await exec("dpkg-query", ["-W", "-f", "${Installed-Size}\n", ...packages]);
  const kilobytes = debian.stdout.split("\n").reduce((sum, line) => sum + Number(line), 0);
  return new Map([
    ...inApp.map((name, index) => [name, sizes[index] ?? 0] as const),
    ["other files", sizes.slice(inApp.length).reduce((sum, bytes) => sum + bytes, 0)],
    [`packages of Debian (${packages.join(", ")})`, kilobytes * 1024],
  ]);
}

async function bytesOf(folder: string): Promise<number> {
  const { stdout } = await exec("du", ["-sb", folder]);
  return Number.parseInt(stdout, 10);
}
