/** What killed processes leave of embedded clusters is deleted, and what anybody may still need is not. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  deleteDeadPartials,
  noteStandIn,
  partialPath,
  sweepStandIns,
} from "../../store/postgres/embedded-leftovers.ts";
import { scratch } from "../support/models.ts";

async function deadPid(): Promise<number> {
  const child = spawn("true");
  await once(child, "exit");
  return child.pid ?? 0;
}

/** The parts of a stand-in that decide. */
interface StandIn {
  readonly wanted?: string;
  /** Process ids of its users. */
  readonly users?: readonly number[];
  /** Process id of its server. */
  readonly server?: number;
}

test("a cluster for temporary files goes when its folder, its users and its server have gone", async () => {
  const parent = await scratch();
  const [dead, alive] = [await deadPid(), process.pid];
  await mkdir(join(parent, "there"));
  const gone = join(parent, "gone", "postgres");
  const postgres = spawn("sleep", ["60"], { argv0: "postgres" });
  const kept: Record<string, StandIn> = {
    "of-earlier-release": { users: [dead] },
    "of-a-named-folder": { wanted: "/var/lib/steplog/gone", users: [dead] },
    "of-a-folder-that-is-there": { wanted: join(parent, "there"), users: [dead] },
    "of-a-sibling": { wanted: `${parent}-other/gone`, users: [dead] },
    used: { wanted: gone, users: [dead, alive] },
    running: { wanted: gone, users: [dead], server: postgres.pid ?? 0 },
  };
  const doomed: Record<string, StandIn> = {
    dead: { wanted: gone, users: [dead], server: dead },
    "of-a-killed-start": { wanted: gone },
    "swept-half": {},
  };
  for (const [name, standIn] of Object.entries({ ...kept, ...doomed })) await makeStandIn(parent, name, standIn);
  await sweepStandIns(parent);
  postgres.kill();
  const expected = [...Object.keys(kept).map((name) => `steplog-postgres-${name}`), "there"];
  expect((await readdir(parent)).toSorted()).toEqual(expected.toSorted());
});

async function makeStandIn(parent: string, name: string, { wanted, users = [], server }: StandIn): Promise<void> {
  const home = join(parent, `steplog-postgres-${name}`);
  await mkdir(join(home, "cluster"), { recursive: true });
  await mkdir(join(home, "users"));
  if (wanted !== undefined) await noteStandIn(home, wanted);
  for (const pid of users) await writeFile(join(home, "users", `${pid}.x`), "");
  if (server !== undefined) await writeFile(join(home, "cluster", "postmaster.pid"), `${server}\n\n0\n5432\n`);
}

test("what a killed process was making in a home is deleted, and nothing else", async () => {
  const home = await scratch();
  const mine = partialPath(home);
  const other = (pid: number) => `partial.${pid}.${crypto.randomUUID()}.${crypto.randomUUID()}`;
  const kept = [mine.slice(home.length + 1), other(process.ppid), "binaries-18.4.0-beta.17", "cluster", "password"];
  // In a container each process may have the same id.
  const dead = await deadPid();
  const gone = [other(dead), `${other(dead)}.password`, other(process.pid)];
  for (const name of [...kept, ...gone]) await mkdir(join(home, name));
  await deleteDeadPartials(home);
  expect((await readdir(home)).toSorted()).toEqual(kept.toSorted());
});
