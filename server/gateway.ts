/** The GraphQL gateway: the schema behind graphql-yoga. HTTP and WebSocket both go through it. */
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
    // These are done by routes.ts, for all routes alike.
    maxRequestBodySize: false,
    cors: false,
    graphiql: false,
    landingPage: false,
    logging: false,
    // A form post is what a foreign web page could send without asking; datasets come in by other ways.
    multipart: false,
    batching: false,
  });
}

/** Masking sees what execution throws; errors of syntax and validation end an operation before that. */
function requestErrors(log: Logger): Plugin {
  return {
    onExecutionResult: (payload) => {
      const { result } = payload;
      if (!result || !("errors" in result) || !result.errors) return;
      payload.setResult({ ...result, errors: result.errors.map((error) => toClientError(error, log)) });
    },
  };
}
