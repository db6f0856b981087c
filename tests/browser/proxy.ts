/** A proxy that serves a gateway below /team/steplog, with the path in front of what it asks for or not. */
import { createServer, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import type { RunningServer } from "../../server/server.ts";

export interface Proxy {
  readonly url: string;
  close(): void;
}

export async function startProxy(gateway: RunningServer, { strips }: { strips: boolean }): Promise<Proxy> {
  const { hostname, port } = new URL(gateway.url);
  const target = (url = "") => (strips ? url.slice("/team/steplog".length) || "/" : url);
  const server = createServer((incoming, outgoing) => {
    const { method, headers, url } = incoming;
    const asked = send({ hostname, port, method, headers, path: target(url) }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    asked.on("error", () => outgoing.destroy());
    incoming.pipe(asked);
  });
  server.on("upgrade", ({ url, rawHeaders }, socket) => {
    const upstream = connect(Number(port), hostname, () => {
      const lines = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${rawHeaders[index + 1]}`] : []));
      upstream.write([`GET ${target(url)} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
      socket.pipe(upstream).pipe(socket);
    });
    for (const end of [upstream, socket]) end.on("error", () => end.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/team/steplog`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
