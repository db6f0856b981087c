/** Has tasks answered and sends what comes: in chunks as it is written, or whole. */
import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { GenerateTask, Piece, Usage } from "../../schema/completion.ts";
import type { Completion } from "../../schema/serving-tables.ts";
import { type WrittenPiece, unpackTokens } from "../../store/store.ts";
import { attended, together, type Asking, type Checked } from "../completions.ts";
import { sendJson } from "../http/json.ts";
import type { Answering } from "../targets.ts";
import type { AnswerHead } from "./answer.ts";
import { errorAnswer } from "./errors.ts";
import { EventStream } from "./sse.ts";

/** What differs between the two requests that write. */
export interface Dialect {
  /** Of the answer's id. */
  readonly prefix: string;
  whole(head: AnswerHead, pieces: readonly Piece[], usage: Usage): object;
  /** Makes chunks of pieces, in the order in which they come. */
  chunks(head: () => AnswerHead): { add(piece: Piece): object[]; end(usage: Usage): object[] };
}

export interface Writing {
  readonly answering: Answering;
  /** Choices of task t are numbered after those of the tasks before it. */
  readonly tasks: readonly Checked<GenerateTask>[];
  /** The model's name, as the client gave it. */
  readonly model: string;
  /** Whether the completions stay until they expire. */
  readonly keep: boolean;
}

/** An exchange with a client. */
export interface Exchange {
  readonly asking: Asking;
  readonly response: ServerResponse;
  /** Has the server end the response when it closes: a stream does not end by itself. */
  readonly track: (response: ServerResponse) => void;
}

export async function writeWhole({ asking, response }: Exchange, writing: Writing, dialect: Dialect): Promise<void> {
  const head = new Head(writing, dialect.prefix);
  const pieces: Piece[] = [];
  const usage = await answered(asking, writing, head, (piece) => void pieces.push(piece));
  sendJson(response, 200, dialect.whole(head.value, pieces, usage));
}

/** Errors after the first chunk are told in the stream. @throws those before it */
export async function writeStream(exchange: Exchange, writing: Writing, dialect: Dialect): Promise<void> {
  const { asking, response, track } = exchange;
  track(response);
  const stream = new EventStream(response);
  const head = new Head(writing, dialect.prefix);
  const chunks = dialect.chunks(() => head.value);
  const queue = new Sending(stream);
  try {
    const usage = await answered(asking, writing, head, (piece) => queue.send(chunks.add(piece)));
    await queue.send(chunks.end(usage));
    stream.end();
  } catch (error) {
    stream.dispose();
    if (!stream.started) throw error;
    stream.fail(errorAnswer(error, asking.log).body.error);
  }
}

/** Chunks of several tasks, one after the other. */
class Sending {
  readonly #stream: EventStream;
  #last: Promise<void> = Promise.resolve();

  constructor(stream: EventStream) {
    this.#stream = stream;
  }

  send(chunks: readonly object[]): Promise<void> {
    return (this.#last = this.#last.then(async () => {
      for (const chunk of chunks) await this.#stream.send(chunk);
    }));
  }
}

async function answered(
  asking: Asking,
  { answering, tasks, keep }: Writing,
  head: Head,
  take: (piece: Piece) => Promise<void> | void,
): Promise<Usage> {
  const numbered = tasks.map((checked, index) => ({ checked, before: index * checked.task.n }));
  const ended = await together(asking, numbered, (each, { checked, before }) =>
    attended(each, answering, checked, { protocol: "OPENAI", keep }, async (row) => {
      head.knows(row);
      await take({ ...pieceOf(row), choice: before + row.choice });
    }),
  );
  return usageOf(ended);
}

function pieceOf({ choice, firstToken, tokens, text, logprobs, finish }: WrittenPiece): Piece {
  return { choice, firstToken, tokens: [...unpackTokens(tokens)], text, logprobs, finish };
}

export function usageOf(completions: readonly Pick<Completion, "usage">[]): Usage {
  const sum = (field: keyof Usage) => completions.reduce((total, { usage }) => total + (usage?.[field] ?? 0), 0);
  return {
    promptTokens: sum("promptTokens"),
    cachedTokens: sum("cachedTokens"),
    completionTokens: sum("completionTokens"),
  };
}

/** The head of an answer, which is whole when the first piece is there. */
class Head {
  readonly #writing: Writing;
  #value: AnswerHead;
  #isKnown = false;

  constructor(writing: Writing, prefix: string) {
    this.#writing = writing;
    this.#value = { id: prefix, created: Math.floor(Date.now() / 1000), model: writing.model, fingerprint: null };
  }

  get value(): AnswerHead {
    return this.#value;
  }

  /** A piece says what answers; the first completion lends the answer its id. */
  knows({ completionId, device }: WrittenPiece): void {
    if (this.#isKnown) return;
    this.#isKnown = true;
    const fingerprint = device === null ? null : fingerprintOf(device, this.#writing.answering);
    this.#value = { ...this.#value, id: this.#value.id + completionId, fingerprint };
  }
}

/** Equal for answers of equal seeds that are equal. */
export function fingerprintOf(device: string, { model, checkpoint }: Answering): string {
  const chain = checkpoint ? Buffer.from(checkpoint.chain).toString("hex") : "";
  return `fp_${createHash("sha256").update([device, model.hash, chain].join("\n")).digest("hex").slice(0, 12)}`;
}
