/** What doctor finds: one line of what is so, and how to mend it. */
export interface Finding {
  readonly name: string;
  readonly status: "ok" | "warn" | "fail";
  readonly message: string;
  /** What to do; null where nothing is to be done. */
  readonly mend: string | null;
}

export const ok = (name: string, message: string): Finding => ({ name, status: "ok", message, mend: null });
export const warn = (name: string, message: string, mend: string): Finding => ({ name, status: "warn", message, mend });
export const fail = (name: string, message: string, mend: string): Finding => ({ name, status: "fail", message, mend });
