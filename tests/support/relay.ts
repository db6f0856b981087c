/** A relay in front of Postgres, or of a gateway, that freezes, loses and cuts connections. */
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
  /** Whatever is open stays so, and nothing passes any more; new connections work. As when a machine takes over from a dead one. */
  lose(): void;
  /** Resets every connection, and those to come, until it is restored. */
  cut(): void;
  /** Ends every connection, as after an outage, and lets new ones through. */
  restore(): void;
  /** Cuts every connection. */
  close(): void;
}

export async function relayTo(databaseUrl: string, port = 0): Promise<Relay> {
  const target = new URL(databaseUrl);
  let left = Infinity;
  let count = 0;
  let isCut = false;
  const sockets = new Set<Socket>();
  const lost = new Set<Socket>();
  const server = createServer((client) => {
    if (isCut) {
      client.resetAndDestroy();
      return;
    }
    const far = connect(Number(target.port), target.hostname);
    for (const [end, other] of [
      [client, far],
      [far, client],
    ] as const) {
      sockets.add(end);
      end.on("error", () => {});
      end.on("close", () => {
        sockets.delete(end);
        lost.delete(end);
        other.destroy();
      });
    }
    client.on("data", (bytes) => {
      count += 1;
      if (left > 0 && !lost.has(client)) far.write(bytes);
      left -= 1;
    });
    far.on("data", (bytes) => {
      if (left > 0 && !lost.has(client)) client.write(bytes);
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
    lose() {
      for (const socket of sockets) lost.add(socket);
    },
    cut() {
      isCut = true;
      for (const socket of sockets) socket.resetAndDestroy();
    },
    restore() {
      [left, isCut] = [Infinity, false];
      for (const socket of sockets) socket.destroy();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
