/** A relay in front of Postgres that freezes what is behind it: what a client sends after some message never arrives. */
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";

export interface Relay {
  /** The URL of the database, by way of the relay. */
  readonly url: string;
  /** Lets this many more sends of the client through, and nothing after them in either direction; starts to count. */
  freezeAfter(sends: number): void;
  /** Sends since freezeAfter, with those that did not arrive. */
  sends(): number;
  /** Ends every connection, as after an outage, and lets new ones through. */
  restore(): void;
  /** Cuts every connection. */
  close(): void;
}

export async function relayTo(databaseUrl: string, port = 0): Promise<Relay> {
  const target = new URL(databaseUrl);
  let left = Infinity;
  let count = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const far = connect(Number(target.port), target.hostname);
    for (const [end, other] of [
      [client, far],
      [far, client],
    ] as const) {
      sockets.add(end);
      end.on("error", () => {});
      end.on("close", () => {
        sockets.delete(end);
        other.destroy();
      });
    }
    client.on("data", (bytes) => {
      count += 1;
      if (left > 0) far.write(bytes);
      left -= 1;
    });
    far.on("data", (bytes) => {
      if (left > 0) client.write(bytes);
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: url.href,
    freezeAfter(sends) {
      left = sends;
      count = 0;
    },
    sends: () => count,
    restore() {
      left = Infinity;
      for (const socket of sockets) socket.destroy();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
