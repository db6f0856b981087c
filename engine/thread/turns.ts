/// <reference lib="es2024.sharedmemory" />
/**
 * Threads that share the machine take turns in it, by words in shared memory: threads that train, and one that answers requests.
 *
 * Nobody wants to answer: a trainer looks at one word before each pass, and goes on. Somebody does: before its next pass the
 * trainer leaves the machine and waits until it is handed back. The server takes it when all trainers have left, runs passes
 * until nothing waits or its share of the time is used, and hands it back; if more waits, a trainer has one pass first.
 *
 * Turns are for speed and fairness alone: nothing of what is computed depends on them. So a server that waits for too long,
 * because a pass takes many seconds or a trainer reads rows, computes beside it. The worker's main thread takes out whoever has
 * ended or was killed (`leaveTurns`), so that nobody waits for the dead.
 */

/** Words: the first has a bit for everyone who has the machine, the second one for each thread that has passes to run. */
const holder = 0;
const trainers = 1;
/** Whether the server wants the machine, or after the next pass. */
const wants = 2;
const [no, now, afterNext] = [0, 1, 2];
/** Counts the times that the server handed the machine back. */
const handed = 3;

type Words = Int32Array<SharedArrayBuffer>;

/** One of the threads that train: they do not wait for one another. */
export interface TrainerPlace {
  readonly words: SharedArrayBuffer;
  /** From 0 to 29. */
  readonly place: number;
}

const serverBit = 1 << 30;
const bitOf = ({ place }: TrainerPlace) => 1 << place;

export function turnWords(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * Int32Array.BYTES_PER_ELEMENT);
}

/** A server computes beside trainers after it has waited for so long. */
const usualPatienceMs = 5_000;

/** Resolves when the word is no longer `value`, or at once if it is not; false after `ms`. */
async function changed(words: Words, word: number, value: number, ms = Infinity): Promise<boolean> {
  const { async, value: waiting } = Atomics.waitAsync(words, word, value, ms);
  return !async || (await waiting) !== "timed-out";
}

function tell(words: Words, word: number): void {
  Atomics.notify(words, word);
}

export interface TrainerTurns {
  /** Before each pass. */
  between(): Promise<void>;
  /** The thread has no pass to run for now. */
  leave(): void;
}

/** In a thread that trains. */
export function trainerTurns(from: TrainerPlace): TrainerTurns {
  const words = new Int32Array(from.words);
  const bit = bitOf(from);
  return {
    leave: () => leaveTurns(from),
    async between() {
      Atomics.or(words, trainers, bit);
      if (Atomics.load(words, wants) === now) await giveWay(words, bit);
      if (Atomics.compareExchange(words, wants, afterNext, now) === afterNext) tell(words, wants);
      await takeBeside(words, bit);
    },
  };
}

/** Until the machine is handed back, or nobody wants it any more. */
async function giveWay(words: Words, bit: number): Promise<void> {
  const seen = Atomics.load(words, handed);
  Atomics.and(words, holder, ~bit);
  tell(words, holder);
  while (Atomics.load(words, wants) === now && Atomics.load(words, handed) === seen) await changed(words, handed, seen);
}

/** Takes the machine, as other trainers may too, once the server does not have it. */
async function takeBeside(words: Words, bit: number): Promise<void> {
  for (;;) {
    const seen = Atomics.load(words, holder);
    if ((seen & serverBit) !== 0) await changed(words, holder, seen);
    else if (Atomics.compareExchange(words, holder, seen, seen | bit) === seen) return;
  }
}

/** From the main thread once the thread has ended, and from the thread itself. */
export function leaveTurns(from: TrainerPlace): void {
  const words = new Int32Array(from.words);
  Atomics.and(words, trainers, ~bitOf(from));
  Atomics.and(words, holder, ~bitOf(from));
  tell(words, holder);
  tell(words, wants);
}

/** The same for the thread that answers. */
export function leaveServerTurns(shared: SharedArrayBuffer): void {
  handBack(new Int32Array(shared), no);
}

function handBack(words: Words, next: number): void {
  Atomics.store(words, wants, next);
  Atomics.and(words, holder, ~serverBit);
  Atomics.add(words, handed, 1);
  tell(words, holder);
  tell(words, handed);
}

export interface Sharing {
  /** Of the time while a trainer computes and requests wait, 0 to 1; a pass at least. */
  readonly share: number;
  readonly patienceMs?: number;
  /** Milliseconds from any moment. */
  readonly now?: () => number;
}

/** In the thread that answers. Without shared words nobody else computes. */
export class ServerTurns {
  readonly #words: Words;
  readonly #share: number;
  readonly #patienceMs: number;
  readonly #clock: () => number;
  #has = false;
  #usedMs = 0;
  /** How long a trainer's last pass took. */
  #trainerMs = 0;
  /** When the machine was handed back for a trainer's pass. */
  #owedSince: number | null = null;

  constructor(shared: SharedArrayBuffer | null, sharing: Sharing) {
    this.#words = new Int32Array(shared ?? turnWords());
    this.#share = sharing.share;
    this.#patienceMs = sharing.patienceMs ?? usualPatienceMs;
    this.#clock = sharing.now ?? (() => performance.now());
  }

  /** Before each step: returns when the machine is the server's. */
  async take(): Promise<void> {
    if (this.#has) return;
    const since = this.#clock();
    const left = () => this.#patienceMs - (this.#clock() - since);
    if (this.#owedSince !== null) await this.#waitForPass(left);
    Atomics.store(this.#words, wants, now);
    await this.#waitForMachine(left);
    if (this.#owedSince !== null) this.#trainerMs = this.#clock() - this.#owedSince;
    this.#owedSince = null;
    this.#has = true;
    this.#usedMs = 0;
  }

  /** After each step, which took `ms`. */
  stepped(ms: number, hasWork: boolean): void {
    this.#usedMs += ms;
    const isOver = Atomics.load(this.#words, trainers) !== 0 && this.#usedMs >= this.#allowanceMs;
    if (!hasWork) this.rest();
    else if (isOver) {
      this.#owedSince = this.#clock();
      this.#has = false;
      handBack(this.#words, afterNext);
    }
  }

  /** Nothing waits. */
  rest(): void {
    this.#owedSince = null;
    this.#has = false;
    handBack(this.#words, no);
  }

  get #allowanceMs(): number {
    return (this.#share / (1 - this.#share)) * this.#trainerMs;
  }

  /** Until a trainer has begun the pass that it is owed, or has none to run. */
  async #waitForPass(left: () => number): Promise<void> {
    const words = this.#words;
    while (Atomics.load(words, trainers) !== 0 && Atomics.load(words, wants) === afterNext && left() > 0)
      await changed(words, wants, afterNext, left());
  }

  /** Until all trainers have left it. */
  async #waitForMachine(left: () => number): Promise<void> {
    const words = this.#words;
    while (left() > 0) {
      const seen = Atomics.compareExchange(words, holder, 0, serverBit);
      if (seen === 0) return;
      await changed(words, holder, seen, left());
    }
  }
}
