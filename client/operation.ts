/** A GraphQL operation that carries the types of its variables and its result. */
export interface Operation<Result, Variables> {
  readonly name: string;
  readonly text: string;
  /** Never set: it holds the two types. */
  readonly types?: (variables: Variables) => Result;
}

export function operation<Result, Variables>(name: string, text: string): Operation<Result, Variables> {
  return { name, text };
}
