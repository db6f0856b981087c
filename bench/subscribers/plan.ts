/** What the processes of bench subscribers say to each other. */
import { z } from "zod";

/** `fast` reads whatever comes, `slow` pauses most of the time, `stalled` stops reading once it has subscribed. */
export const paces = ["fast", "slow", "stalled"] as const;
export const transports = ["websocket", "sse"] as const;

const subscriberSchema = z.object({
  /** Number of its run, and that run's id in the API. */
  run: z.int(),
  id: z.string(),
  after: z.int(),
  transport: z.enum(transports),
  pace: z.enum(paces),
  query: z.string(),
});

/** One process of subscribers. */
export const planSchema = z.object({ url: z.string(), subscribers: z.array(subscriberSchema) });

/** When each step was committed, by run, and then step from 1: milliseconds since 1970. The process then reports and ends. */
export const committedSchema = z.object({ committed: z.array(z.array(z.number())) });

/** All of its subscribers have subscribed. */
export const readySchema = z.object({ ready: z.literal(true) });

export const reportSchema = z.object({
  /** Milliseconds from commit to receipt of every step that a fast, or a slow one received. */
  delays: z.object({ fast: z.array(z.number()), slow: z.array(z.number()) }),
  /** Subscribers that received each step once and in order up to the last. */
  complete: z.object({ fast: z.int(), slow: z.int() }),
  /** Steps that came twice, or out of order. */
  wrong: z.int(),
  /** Connections that broke or were closed by the gateway; these subscribe again after their cursor. */
  broken: z.int(),
  cpuSeconds: z.number(),
});

export type Subscriber = z.infer<typeof subscriberSchema>;
export type Plan = z.infer<typeof planSchema>;
export type Report = z.infer<typeof reportSchema>;
