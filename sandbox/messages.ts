/** What a sandbox is asked and what it answers. All of it survives a structured clone. */
import type { ErrorCode, InputIssue } from "../schema/errors.ts";

/** What a call may use. The first that it exceeds ends it. */
export interface Limits {
  /** MB of JavaScript objects. */
  readonly heapMb: number;
  /** MB of the whole process: objects, and buffers, which are outside the heap. */
  readonly memoryMb: number;
  /** Milliseconds without progress. */
  readonly stalledMs: number;
  /** Milliseconds in all. */
  readonly totalMs: number;
}

/** Who is to blame when a limit is exceeded or the function fails: the error's code, and the start of its message. */
export interface Blame {
  readonly code: ErrorCode;
  /** What is being done: "Reading rows.parquet". */
  readonly doing: string;
  /** What to do about it: the end of the message. */
  readonly advice?: string;
}

export interface Call {
  /** Path of the module that exports the function, as Node runs it. */
  readonly file: string;
  readonly name: string;
  readonly input: unknown;
  readonly limits: Limits;
  readonly blame: Blame;
}

/** How a function in the sandbox says where it is. */
export interface Reporter {
  /** From now on this is being done. */
  readonly begin: (blame: Blame) => void;
  /** Some of it is done; the time without progress starts again. `line` is that of a dataset, for messages. */
  readonly progress: (line?: number) => void;
}

/** A function that a sandbox can run. Input and output are plain data. */
export type Task = (input: never, reporter: Reporter) => Promise<unknown>;

export type Outcome =
  | { readonly type: "done"; readonly output: unknown }
  | {
      readonly type: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      readonly issues: readonly InputIssue[];
    };

/** A process that is not reusable ends. */
export interface Answer {
  readonly outcome: Outcome;
  readonly reusable: boolean;
}

/** Between the thread that runs the function and the host beside it. */
export type ThreadMessage = Outcome | { readonly type: "begin"; readonly blame: Blame };

export interface ThreadCall extends Call {
  /** [progress, line], shared. */
  readonly counters: Int32Array;
}

/** A failure that `blame` names, with its advice. */
export function failedOf({ code, advice }: Pick<Blame, "code" | "advice">, message: string): Outcome {
  return { type: "failed", code, message: advice === undefined ? message : `${message} ${advice}`, issues: [] };
}
