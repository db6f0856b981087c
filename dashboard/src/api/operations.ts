// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../../../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type * as Types from '../../../client/schema-types.ts';

export type PulseQueryVariables = Exact<{ [key: string]: never; }>;


export type PulseQuery = {
  readonly __typename: 'Query'
};

export type ViewerQueryVariables = Exact<{ [key: string]: never; }>;


export type ViewerQuery = {
  readonly viewer: {
    readonly scopes: ReadonlyArray<Types.Scope>,
    readonly project: {
      readonly id: string,
      readonly name: string
    }
  }
};

export const pulse = operation<PulseQuery, PulseQueryVariables>(
  "Pulse",
  "query Pulse{__typename}",
);

export const viewer = operation<ViewerQuery, ViewerQueryVariables>(
  "Viewer",
  "query Viewer{viewer{project{id name}scopes}}",
);

