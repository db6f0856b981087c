// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../../../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
export type PulseQueryVariables = Exact<{ [key: string]: never; }>;


export type PulseQuery = {
  readonly __typename: 'Query'
};

export const pulse = operation<PulseQuery, PulseQueryVariables>(
  "Pulse",
  "query Pulse{__typename}",
);

