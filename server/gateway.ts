/** The GraphQL gateway: the schema, served by graphql-yoga. HTTP and WebSocket both use it. */
import { createYoga, type Plugin } from "graphql-yoga";
import type { Logger } from "pino";
import type { Context } from "./context.ts";
import { toClientError } from "./errors.ts";
import { schema } from "./graphql/schema.ts";

export type Gateway = ReturnType<typeof createGateway>;

export function createGateway(log: Logger) {
  return createYoga<Context>({
    schema,
    graphqlEndpoint: "/graphql",
    maskedErrors: { maskError: (error) => toClientError(error, log) },
    plugins: [requestErrors(log)],
    // routes.ts does these for all routes.
    maxRequestBodySize: false,
    cors: false,
    graphiql: false,
    landingPage: false,
    logging: false,
    // Another site's page could send a form post without a preflight, so none is accepted; datasets are uploaded otherwise.
    multipart: false,
    batching: false,
  });
}

/** `maskError` only sees what execution throws; this covers errors of syntax and validation. */
function requestErrors(log: Logger): Plugin {
  return {
    onExecutionResult: (payload) => {
      const { result } = payload;
      if (!result || !("errors" in result) || !result.errors) return;
      payload.setResult({ ...result, errors: result.errors.map((error) => toClientError(error, log)) });
    },
  };
}
