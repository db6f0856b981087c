/** Rows that repeat or contradict an earlier one, and rows that two datasets share: by hashes, so no text is kept. */
import { createHash } from "node:crypto";
import type { RowNote } from "../schema/row-findings.ts";
import { counted } from "../schema/units.ts";
import type { Row } from "./jsonl.ts";
import { LineTable, type RowKey } from "./line-table.ts";
import { halvesOf } from "./halves.ts";

/** The first lines of what is counted. */
const told = 5;

class Pairs {
  readonly #first: string[] = [];
  count = 0;

  add(words: string): void {
    this.count += 1;
    if (this.#first.length < told) this.#first.push(words);
  }

  /** "line 3 is line 1; ..." */
  get words(): string {
    const more = this.count > this.#first.length ? "; …" : "";
    return `${this.#first.join("; ")}${more}`;
  }
}

export class Repeats {
  readonly #lines = new LineTable();
  readonly #repeated = new Pairs();
  readonly #contradicting = new Pairs();

  add(line: number, row: Row): void {
    const { asked, prompt, whole } = keysOf(row);
    const earlier = this.#lines.put(whole, line);
    const other = asked ? this.#lines.put(prompt, line) : 0;
    if (earlier > 0) this.#repeated.add(`line ${line} is line ${earlier}`);
    else if (other > 0) this.#contradicting.add(`line ${line} and line ${other}`);
  }

  get notes(): RowNote[] {
    const [same, other] = [this.#repeated, this.#contradicting];
    const [repeat, have] = [same.count === 1 ? "repeats" : "repeat", other.count === 1 ? "has" : "have"];
    const notes: readonly [RowNote["type"], Pairs, string][] = [
      ["ROWS_REPEATED", same, `${counted(same.count, "row")} ${repeat} an earlier one, prompt and answer`],
      [
        "ROWS_CONTRADICT",
        other,
        `${counted(other.count, "row")} ${have} the prompt of an earlier one and another answer`,
      ],
    ];
    return notes.flatMap(([type, { count, words }, what]) =>
      count > 0 ? [{ type, message: `${what}: ${words}.` }] : [],
    );
  }
}

/** Rows that are also in the training rows, prompt and answer. */
export class SharedRows {
  readonly #training = new LineTable();
  readonly #shared = new Pairs();

  addTraining(line: number, row: Row): void {
    this.#training.put(keysOf(row).whole, line);
  }

  /** After all training rows. */
  add(line: number, row: Row): void {
    const known = this.#training.get(keysOf(row).whole);
    if (known > 0) this.#shared.add(`line ${line} is training line ${known}`);
  }

  get notes(): RowNote[] {
    const { count, words } = this.#shared;
    if (count === 0) return [];
    const are = count === 1 ? "is a training row" : "are training rows";
    const message = `${counted(count, "row")} ${are} too, so the result on them says nothing of new ones: ${words}.`;
    return [{ type: "ROWS_SHARED", message }];
  }
}

interface RowKeys {
  /** Whether there is a prompt at all: rows without one do not contradict each other. */
  readonly asked: boolean;
  readonly prompt: RowKey;
  readonly whole: RowKey;
}

function keysOf(row: Row): RowKeys {
  const { prompt, completion } = halvesOf(row);
  const asked = createHash("sha256").update(prompt).digest();
  const whole = createHash("sha256").update(asked).update(completion).digest();
  return { asked: prompt !== "", prompt: keyOf(asked), whole: keyOf(whole) };
}

function keyOf(digest: Buffer): RowKey {
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)];
}
