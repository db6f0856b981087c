/** A receiver of webhooks that checks signatures as receivers do. */
import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { until } from "../process/service.ts";

export interface Received {
  readonly id: string;
  readonly signature: string;
  readonly body: string;
  readonly message: { readonly type: string; readonly timestamp: string; readonly data: Record<string, unknown> };
}

export interface Receiver {
  readonly url: string;
  /** What came, signed or not. */
  readonly received: Received[];
  /** Checks all signatures with this secret from now on. */
  secret: string;
  /** Answers; 204 when left out. */
  answer: (request: IncomingMessage, response: ServerResponse) => void;
  /** Waits for this many messages in all. */
  until(count: number): Promise<readonly Received[]>;
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const body = Buffer.concat(pieces).toString();
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
      // Throws for a wrong signature, and then nothing is received.
      if (receiver.secret !== "") new Webhook(receiver.secret).verify(body, headers);
      receiver.received.push({
        id: headers["webhook-id"] ?? "",
        signature: headers["webhook-signature"] ?? "",
        body,
        message: JSON.parse(body) as Received["message"],
      });
      receiver.answer(request, response);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const receiver: Receiver = {
    url: `http://localhost:${(server.address() as AddressInfo).port}/hook`,
    received: [],
    secret: "",
    answer: (_request, response) => void response.writeHead(204).end(),
    async until(count) {
      await until(`${count} messages`, 15_000, () => receiver.received.length >= count);
      return receiver.received;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return receiver;
}
