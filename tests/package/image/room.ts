/**
 * A room: a folder that programs see as /, with this machine's /usr and /etc (read only) in place of the base image's,
 * and with process numbers of its own. It takes root, or whatever else may mount (unshare). The network is the machine's.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, lstat, mkdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A file or folder of the machine, and where it is in the room. */
export interface Mount {
  readonly source: string;
  readonly target: string;
}

export interface Program {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** `UID:GID` */
  readonly user: string;
  readonly mounts: readonly Mount[];
}

/** What the base image brings. Some of it is a link into /usr. */
const fromMachine = ["usr", "etc", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/** The user that node's images have; nobody else is looked up by name. */
const passwd = "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000:node:/home/node:/bin/sh\n";
const group = "root:x:0:\nnode:x:1000:\n";

/** @param root an empty folder */
export async function furnish(root: string): Promise<void> {
  for (const name of ["proc", "sys", "dev", "root", "home/node", ".users"]) {
    await mkdir(join(root, name), { recursive: true });
  }
  await mkdir(join(root, "tmp"));
  await chmod(join(root, "tmp"), 0o1777);
  await writeFile(join(root, ".users/passwd"), passwd);
  await writeFile(join(root, ".users/group"), group);
  for (const name of fromMachine) {
    const found = await lstat(`/${name}`).catch(() => null);
    if (found?.isSymbolicLink()) await symlink(await readlink(`/${name}`), join(root, name));
    else if (found?.isDirectory()) await mkdir(join(root, name));
  }
}

/** $1 the room; $2 a mount per line, source and target after a tab; then the program. */
const enter = `
set -eu
room="$1"; mounts="$2"; shift 2
for name in ${fromMachine.join(" ")}; do
  [ -d "$room/$name" ] && [ ! -L "$room/$name" ] || continue
  mount --bind "/$name" "$room/$name"
  mount -o remount,bind,ro "$room/$name"
done
for name in passwd group; do mount --bind "$room/.users/$name" "$room/etc/$name"; done
mount -t proc proc "$room/proc"
mount --rbind /sys "$room/sys"
mount --rbind /dev "$room/dev"
printf '%s' "$mounts" | while IFS='	' read -r source target; do
  if [ -d "$source" ]; then mkdir -p "$room$target"
  else mkdir -p "$(dirname "$room$target")"; [ -e "$room$target" ] || : >"$room$target"; fi
  mount --bind "$source" "$room$target"
done
exec "$@"
`;

/** Starts a program in the room, as process 1 of it. */
export function start(root: string, { argv, env, cwd, user, mounts }: Program, output: number | "pipe"): ChildProcess {
  const [uid = "0", gid = "0"] = user.split(":");
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const lines = mounts.map(({ source, target }) => `${source}\t${target}\n`).join("");
  const namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];
  const inside = ["chroot", `--userspec=+${uid}:+${gid}`, "--groups=", root, "env", "-i", "-C", cwd, ...variables];
  return spawn("unshare", [...namespaces, "sh", "-c", enter, "sh", root, lines, ...inside, ...argv], {
    stdio: ["ignore", output, output],
  });
}

/**
 * Runs a program to its end.
 * @returns its exit code, and what it printed
 */
export async function run(root: string, program: Program): Promise<{ code: number; output: string }> {
  const child = start(root, program, "pipe");
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (part: Buffer) => (output += part.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code: code ?? -1, output };
}

/** Sends SIGTERM to process 1 of the room, as `docker stop` does, and waits for its end. */
export async function stop(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  const [first = ""] = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")).split(" ");
  const ended = once(child, "exit") as Promise<[number | null]>;
  process.kill(Number(first), "SIGTERM");
  return (await ended)[0];
}
