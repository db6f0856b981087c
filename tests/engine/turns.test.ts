/** Training and answering take turns: neither starves, nobody waits for the dead, and without requests nobody waits at all. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { TrainerPlace } from "../../engine/thread/turns.ts";
import { ServerTurns, leaveServerTurns, leaveTurns, trainerTurns, turnWords } from "../../engine/thread/turns.ts";

/** Passes of fake threads, which take as long as they say, on a clock that only they move. */
class Machine {
  readonly words = turnWords();
  readonly log: string[] = [];
  readonly #running = new Set<string>();
  now = 0;
  /** How often a pass of the server ran beside one of a trainer. */
  overlaps = 0;

  place(place: number): TrainerPlace {
    return { words: this.words, place };
  }

  async pass(who: "trainer" | "server", ms: number, turns: number): Promise<void> {
    this.#running.add(who);
    if (this.#running.size > 1) this.overlaps += 1;
    this.log.push(who);
    for (let i = 0; i < turns; i++) await new Promise(setImmediate);
    this.now += ms;
    this.#running.delete(who);
  }
}

async function train(machine: Machine, passes: readonly { ms: number; turns: number }[], place = 0): Promise<void> {
  const turns = trainerTurns(machine.place(place));
  for (const { ms, turns: long } of passes) {
    await turns.between();
    await machine.pass("trainer", ms, long);
  }
  turns.leave();
}

/** Requests come in bursts; each is so many passes. */
async function answer(machine: Machine, bursts: readonly { wait: number; passes: number }[], share = 0.5) {
  const server = new ServerTurns(machine.words, { share, now: () => machine.now });
  for (const { wait, passes } of bursts) {
    for (let i = 0; i < wait; i++) await new Promise(setImmediate);
    for (let left = passes; left > 0; left--) {
      await server.take();
      await machine.pass("server", 10, 1);
      server.stepped(10, left > 1);
    }
  }
}

test("whatever comes when, both finish, and never compute at once", async () => {
  const pass = fc.record({ ms: fc.integer({ min: 1, max: 40 }), turns: fc.nat(3) });
  const burst = fc.record({ wait: fc.nat(6), passes: fc.integer({ min: 1, max: 5 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(pass, { maxLength: 12 }),
      fc.array(burst, { maxLength: 5 }),
      fc.constantFrom(0, 0.5, 1),
      async (passes, bursts, share) => {
        const machine = new Machine();
        await Promise.all([train(machine, passes), answer(machine, bursts, share)]);
        const wanted = bursts.reduce((sum, { passes: count }) => sum + count, 0);
        expect(machine.log.filter((who) => who === "server")).toHaveLength(wanted);
        expect(machine.log.filter((who) => who === "trainer")).toHaveLength(passes.length);
        expect(machine.overlaps).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});

test("while requests wait, each has its share of the time", async () => {
  const machine = new Machine();
  const passes = Array.from({ length: 6 }, () => ({ ms: 40, turns: 1 }));
  await Promise.all([train(machine, passes), answer(machine, [{ wait: 1, passes: 100 }])]);
  const rounds = machine.log
    .join(" ")
    .split("trainer")
    .map((between) => between.split("server").length - 1);
  // One pass of the server before it knows how long a trainer's pass takes; then 4 of 10 ms after each one of 40 ms.
  expect(rounds.slice(0, 6)).toStrictEqual([0, 1, 4, 4, 4, 4]);
});

test("trainers do not wait for one another, and a request waits for all of them", async () => {
  const machine = new Machine();
  const [a, b] = [trainerTurns(machine.place(0)), trainerTurns(machine.place(1))];
  await a.between();
  await b.between();
  const server = new ServerTurns(machine.words, { share: 0.5 });
  let has = false;
  const taken = server.take().then(() => (has = true));
  a.leave();
  await new Promise(setImmediate);
  expect(has).toBe(false);
  b.leave();
  await taken;
});

test("a thread that dies gives back what it had", async () => {
  const machine = new Machine();
  const place = machine.place(0);
  await trainerTurns(place).between();
  const server = new ServerTurns(machine.words, { share: 0.5 });
  const taken = server.take();
  leaveTurns(place);
  await taken;
  // Owed a pass that never comes.
  server.stepped(10, true);
  await server.take();
  const next = trainerTurns(machine.place(1)).between();
  leaveServerTurns(machine.words);
  await next;
});

test("a server that has waited too long for a pass computes beside it", async () => {
  const machine = new Machine();
  await trainerTurns(machine.place(0)).between();
  const server = new ServerTurns(machine.words, { share: 0.5, patienceMs: 20 });
  await server.take();
  server.rest();
  await new ServerTurns(null, { share: 0.5 }).take();
});
