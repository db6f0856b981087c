/** A proxy as companies have one: asked for http://, a tunnel for https://, and a password where it wants one. */
import { once } from "node:events";
import { createServer, request as ask } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { onTestFinished } from "vitest";

export interface TestProxy {
  /** HOST:PORT */
  readonly host: string;
  /** Addresses that it was asked for, and hosts that it was asked to connect to. */
  readonly seen: { readonly method: string; readonly target: string }[];
}

export interface TestProxyOptions {
  /** USER:PASSWORD */
  readonly credentials?: string;
  /** Host behind a name that only the proxy knows. */
  readonly names?: Readonly<Record<string, string>>;
}

export async function testProxy({ credentials, names = {} }: TestProxyOptions = {}): Promise<TestProxy> {
  const seen: TestProxy["seen"] = [];
  const wanted = credentials && `Basic ${Buffer.from(credentials).toString("base64")}`;
  const admits = ({ method = "", url: target = "", headers }: IncomingMessage) => {
    seen.push({ method, target });
    return wanted === undefined || headers["proxy-authorization"] === wanted;
  };
  const server = createServer((request, response) => {
    if (admits(request)) forward(request, response, names);
    else response.writeHead(407).end();
  });
  server.on("connect", (request: IncomingMessage, socket: Duplex) => {
    if (admits(request)) tunnel(request.url ?? "", socket, names);
    else socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

function forward(request: IncomingMessage, response: ServerResponse, names: Readonly<Record<string, string>>): void {
  const { method, headers, url = "" } = request;
  const { host, pathname, search } = new URL(url);
  const { "proxy-authorization": _, ...rest } = headers;
  const onward = ask(`http://${names[host] ?? host}${pathname}${search}`, { method, headers: rest }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  request.pipe(onward);
}

function tunnel(target: string, socket: Duplex, names: Readonly<Record<string, string>>): void {
  const [host = "", port] = (names[target] ?? target).split(":");
  const far = connect(Number(port), host, () => {
    socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    socket.pipe(far).pipe(socket);
  });
  for (const end of [far, socket]) {
    end.on("error", () => {
      far.destroy();
      socket.destroy();
    });
  }
}
