// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../../../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
export type EvaluationRowsQueryVariables = Exact<{
  id: string;
  from: number;
}>;


export type EvaluationRowsQuery = {
  readonly modelEvaluation: {
    readonly rows: number | null,
    readonly examples: ReadonlyArray<{
      readonly row: number,
      readonly prompt: string | null,
      readonly expected: string | null,
      readonly answer: string | null,
      readonly right: boolean | null,
      readonly loss: number | null
    }>
  } | null
};

export const evaluationRows = operation<EvaluationRowsQuery, EvaluationRowsQueryVariables>(
  "EvaluationRows",
  "query EvaluationRows($id:ID!$from:Int!){modelEvaluation(id:$id){rows examples(first:100 after:$from){row prompt expected answer right loss}}}",
);

