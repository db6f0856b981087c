/** An operation's text, which carries the types of its answer and its variables. */
export interface Operation<Result, Variables> {
  readonly name: string;
  readonly text: string;
  /** Never there: these two hold the types. */
  readonly result?: Result;
  readonly variables?: Variables;
}

export function operation<Result, Variables>(name: string, text: string): Operation<Result, Variables> {
  return { name, text };
}
