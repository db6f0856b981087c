/** Counts what a test's stores send to Postgres. It is the same on every machine, which a time is not. */
import type postgres from "postgres";

export interface Sent {
  readonly connection: number;
  readonly text: string;
}

type Connect = (...args: unknown[]) => postgres.Sql;

/** The module of postgres.js, for `vi.mock("postgres")`, with every statement added to `sent`. */
export function counting(
  { default: connect }: { readonly default: Connect },
  sent: Sent[],
): { readonly default: Connect } {
  const debug = (connection: number, text: string) => sent.push({ connection, text });
  const counted: Connect = (...args) => {
    const options = args.pop();
    return connect(...args, typeof options === "object" ? { ...options, debug } : options);
  };
  return { default: Object.assign(counted, connect) };
}

/** The statements of each transaction, its begin and commit among them; and those that were sent alone. */
export function transactionsOf(sent: readonly Sent[]): { transactions: string[][]; alone: string[] } {
  const open = new Map<number, string[]>();
  const transactions: string[][] = [];
  const alone: string[] = [];
  for (const { connection, text } of sent) {
    if (/^begin/iu.test(text)) open.set(connection, []);
    (open.get(connection) ?? alone).push(text);
    if (!/^(commit|rollback)/iu.test(text)) continue;
    transactions.push(open.get(connection) ?? []);
    open.delete(connection);
  }
  return { transactions, alone };
}
