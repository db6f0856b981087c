/** Whatever bytes arrive on the port, the server answers plainly or hangs up, and goes on. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { RunningServer } from "../../server/server.ts";
import { createFineTune, rows, testServer, type TestServer } from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

function open(): Socket {
  const { port } = new URL(server.url);
  // The server may reset the connection while we write.
  return connect({ port: Number(port), host: "127.0.0.1" }).on("error", () => {});
}

/** Sends the bytes as they are, and returns the first that come back. */
async function send(request: string): Promise<string> {
  const socket = open();
  socket.write(Buffer.from(request, "latin1"));
  const answer = await Promise.race([once(socket, "data"), once(socket, "close")]);
  socket.destroy();
  return String(answer[0]);
}

const lines = (...parts: string[]) => `${parts.join("\r\n")}\r\n\r\n`;
const upgrade = (target: string, ...headers: string[]) =>
  lines(
    `GET ${target} HTTP/1.1`,
    ...(headers.some((header) => /^host:/iu.test(header)) ? [] : ["Host: localhost"]),
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: graphql-transport-ws",
    ...headers,
  );
const get = (target: string, ...headers: string[]) =>
  lines(`GET ${target} HTTP/1.1`, "Connection: close", ...(headers.length > 0 ? headers : ["Host: localhost"]));

const healthy = async () => expect((await fetch(`${server.url}/healthz`)).status).toBe(200);

const malformed = [
  "//",
  "//evil.example.org/graphql",
  "///",
  "/.//graphql",
  "\\\\graphql",
  "/\\graphql",
  "*",
  "graphql",
  "http://",
  "http://[",
  "http://user@:/",
  "ws://localhost/graphql",
  "javascript:alert(1)",
];
const hosts = [
  "Host: ",
  "Host: [",
  "Host: a b",
  "Host: a/b",
  "Host: user@localhost",
  "Host: localhost:99999",
  "Host: localhost:x",
  "Host: 1.2.3.999",
  "Host: <script>",
  "Host: local\u00e9",
];

describe("a malformed request is a plain 400", () => {
  const plain = (answer: string) => {
    expect(answer).toMatch(/^HTTP\/1\.1 400 /u);
    expect(answer).not.toMatch(/node:|node_modules|\.ts\b|\.js\b|Invalid URL|evil|script/u);
  };

  test.each(malformed)("the target %j", async (target) => {
    plain(await send(get(target)));
    plain(await send(upgrade(target)));
    await healthy();
  });

  test.each(hosts)("%j", async (host) => {
    for (const path of ["/", "/graphql?query={__typename}", "/healthz", "/uploads"]) plain(await send(get(path, host)));
    plain(await send(upgrade("/graphql", host)));
    await healthy();
  });

  test("two Host headers, and none", async () => {
    plain(await send(get("/", "Host: localhost", "Host: evil")));
    plain(await send(upgrade("/graphql", "Host: localhost", "Host: evil")));
    plain(await send(lines("GET / HTTP/1.1", "Connection: close")));
  });
});

test.each([
  ["no HTTP at all", "hello\r\n\r\n", 400],
  ["a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400],
  ["a broken header", "GET / HTTP/1.1\r\nHost localhost\r\n\r\n", 400],
  ["a large header", get("/", "Host: localhost", `X: ${"x".repeat(20_000)}`), 431],
  ["a wrong content-length", lines("POST /graphql HTTP/1.1", "Host: localhost", "Content-Length: -1"), 400],
  ["two lengths", lines("POST / HTTP/1.1", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked"), 400],
  [
    "a broken chunk",
    `${lines("POST /datasets?name=x HTTP/1.1", "Host: localhost", "Transfer-Encoding: chunked")}zz\r\n`,
    400,
  ],
  ["a malformed origin", upgrade("/graphql", "Origin: http://["), 403],
  ["the origin of a file", upgrade("/graphql", "Origin: file://localhost:4000", "Host: localhost:4000"), 403],
  ["an origin of nothing", upgrade("/graphql", "Origin: null"), 403],
  ["another origin", upgrade("/graphql", "Origin: https://evil.example.org"), 403],
  ["a WebSocket elsewhere", upgrade("/nothing"), 404],
  ["a WebSocket on /", upgrade("/"), 404],
  ["an unknown WebSocket version", upgrade("/graphql").replace("Version: 13", "Version: 1"), 400],
  ["a WebSocket without a key", upgrade("/graphql").replace(/Sec-WebSocket-Key.*\r\n/u, ""), 400],
  ["another protocol", upgrade("/graphql").replace("Upgrade: websocket", "Upgrade: h2c"), 400],
  ["a whole address", get("http://localhost/healthz"), 200],
  ["HTTP/1.0 without a host", "GET /healthz HTTP/1.0\r\n\r\n", 200],
  ["an unknown expectation", get("/", "Host: localhost", "Expect: miracles"), 417],
])("%s is answered, and the next request too", async (_what, request, status) => {
  const answer = await send(request);
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `, "u"));
  expect(answer).not.toMatch(/node:|node_modules|\.ts\b/u);
  await healthy();
});

/** What a client sends before it resets the connection, at once and again when the answer begins. */
test.each([
  ["a refused upgrade", upgrade("/nothing")],
  ["an upgrade of another origin", upgrade("/graphql", "Origin: https://evil.example.org")],
  ["a malformed upgrade", upgrade("//")],
  ["an accepted upgrade", upgrade("/graphql")],
  ["an upgrade and a broken frame", `${upgrade("/graphql")}\xff\xff\xff\xff`],
  ["a CONNECT", lines("CONNECT localhost:443 HTTP/1.1", "Host: localhost")],
  ["a request", get("/graphql?query={__typename}")],
  ["half a body", `${lines("POST /graphql HTTP/1.1", "Host: localhost", "Content-Length: 100")}{`],
  ["half an upload", `${lines("POST /datasets?name=x HTTP/1.1", "Host: localhost", "Content-Length: 100")}{`],
  [
    "half a resumable upload",
    lines("POST /uploads HTTP/1.1", "Host: localhost", "Tus-Resumable: 1.0.0", "Upload-Length: 5", "Content-Length: 5"),
  ],
])("%s that is reset at once ends nothing", async (_what, request) => {
  for (const when of ["at once", "after the first byte"]) {
    const socket = open();
    await once(socket, "connect");
    socket.write(Buffer.from(request, "latin1"));
    if (when === "after the first byte") await Promise.race([once(socket, "data"), once(socket, "close"), tick()]);
    socket.resetAndDestroy();
    await tick();
    await healthy();
  }
});

describe("without a token", () => {
  const asked = async (host: string) => {
    const answers = [
      await send(get("/", `Host: ${host}`)),
      await send(get("/graphql?query={__typename}", `Host: ${host}`)),
      await send(get("/checkpoints/x/log.steplog", `Host: ${host}`)),
      await send(get("/uploads/x", `Host: ${host}`)),
      await send(lines("POST /graphql HTTP/1.1", `Host: ${host}`, `Origin: http://${host}`, "Content-Length: 0")),
      await send(upgrade("/graphql", `Host: ${host}`, `Origin: http://${host}`)),
    ];
    return answers.map((answer) => /^HTTP\/1.1 (\d+)/u.exec(answer)?.[1]);
  };

  test.each([
    "localhost",
    "LocalHost.:4000",
    "a.localhost",
    "127.0.0.1:4000",
    "127.9.9.9",
    "[::1]:80",
    "[::ffff:127.0.0.1]",
  ])("%s is this machine", async (host) => {
    expect(await asked(host)).not.toContain("403");
  });

  test.each([
    "evil.example.org",
    "evil.example.org:4000",
    "localhost.evil.example.org",
    "10.0.0.1",
    "0.0.0.0",
    "[::]",
    "127.0.0.1.nip.io",
  ])("%s is not, and gets nothing but its health", async (host) => {
    expect(await asked(host)).toEqual(Array.from({ length: 6 }, () => "403"));
    for (const path of ["/healthz", "/readyz"])
      expect(await send(get(path, `Host: ${host}`))).toMatch(/^HTTP\/1.1 200/u);
  });

  test("a whole address counts, whatever the Host header says", async () => {
    expect(await send(get("http://evil.example.org/", "Host: localhost"))).toMatch(/^HTTP\/1.1 403/u);
  });

  test("listed names and the public address are answered; with a token, all are", async () => {
    const status = async (other: RunningServer, host: string) => {
      const socket = connect({ port: Number(new URL(other.url).port), host: "127.0.0.1" });
      socket.write(get("/", `Host: ${host}`));
      return /^HTTP\/1.1 (\d+)/u.exec(await text(socket))?.[1];
    };
    const listed = await server.another({ allowedHosts: ["One.example"], publicUrl: "https://two.example/" });
    const hosts = ["one.example", "ONE.example:80", "two.example", "three.example"];
    expect(await Promise.all(hosts.map((host) => status(listed, host)))).toEqual(["200", "200", "200", "403"]);
    const guarded = await server.another({ apiToken: "secret" });
    expect(await status(guarded, "three.example")).toBe("200");
    await Promise.all([listed.close(), guarded.close()]);
  });

  test.each(["0.0.0.0", "::", "", "192.0.2.1", "example.org"])("the server does not listen on %j", async (host) => {
    const failed = await server.another({ host }).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(String(failed)).toMatch(/neither API keys nor a token.*keys create.*STEPLOG_API_TOKEN.*--open-to-everyone/u);
  });

  test("with a token, or with the risk accepted, it does", async () => {
    for (const options of [{ apiToken: "secret" }, { openToEveryone: true }]) {
      const other = await server.another({ host: "0.0.0.0", ...options });
      expect((await fetch(`${other.url}/healthz`)).status).toBe(200);
      await other.close();
    }
    const spaced = server.another({ apiToken: "open sesame\n" });
    await expect(spaced).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("a client that stops is disconnected", () => {
  let hasty: RunningServer;
  beforeAll(async () => {
    hasty = await server.another({ stallMs: 100 });
  });
  afterAll(() => hasty.close());
  const reach = () => connect({ port: Number(new URL(hasty.url).port), host: "127.0.0.1" }).on("error", () => {});
  const post = (path: string, bytes: number) =>
    lines(`POST ${path} HTTP/1.1`, "Host: localhost", "Content-Type: application/json", `Content-Length: ${bytes}`);

  const upload = (bytes: number) =>
    post("/uploads", bytes)
      .replace("application/json", "application/offset+octet-stream")
      .replace("\r\n", `\r\nTus-Resumable: 1.0.0\r\nUpload-Length: ${bytes}\r\n`);

  test.each([
    ["says nothing", "", /^$/u],
    ["stops in its headers", "GET / HTTP/1.1\r\nHost: local", /^$/u],
    ["stops in a query", `${post("/graphql", 100)}{`, /^HTTP\/1.1 408 [^]*INVALID_ARGUMENT/u],
    ["stops in a dataset", `${post("/datasets?name=x", 100)}{`, /^HTTP\/1.1 408 /u],
    ["stops after a refusal", `${post("/nothing", 100)}{`, /^HTTP\/1.1 404 /u],
    ["asks nothing more", lines("GET /healthz HTTP/1.1", "Host: localhost"), /^HTTP\/1.1 200 /u],
  ])("it %s", async (_what, request, answer) => {
    const socket = reach();
    socket.write(request);
    expect(await text(socket)).toMatch(answer);
  });

  test.each([
    ["its headers", lines("GET / HTTP/1.1", "Host: localhost").slice(0, -4) + "\r\nX-Slow: "],
    ["a query", `${post("/graphql", 10_000)}{`],
    ["a dataset", `${post("/datasets?name=x", 10_000)}{`],
    ["an upload", upload(10_000)],
    ["what was refused", post("/nothing", 10_000)],
  ])("it sends a byte of %s now and then", async (_what, start) => {
    const socket = reach();
    socket.write(start);
    // 50 bytes a second.
    const timer = setInterval(() => socket.write("1"), 20);
    try {
      await text(socket);
    } catch (error) {
      // A byte that arrives after the server has closed is answered by a reset, which ends the socket as well.
      expect(error).toMatchObject({ code: "ECONNRESET" });
    } finally {
      clearInterval(timer);
    }
  });

  test("a slow upload that goes on is not", async () => {
    const body = rows(20);
    const socket = reach();
    socket.write(post("/datasets?name=slow", Buffer.byteLength(body)));
    const answer = once(socket, "data");
    for (const line of body.split(/(?<=\n)/u)) {
      await tick();
      socket.write(line);
    }
    expect(String(await answer)).toMatch(/^HTTP\/1.1 201 /u);
    socket.destroy();
  });

  test("an event stream that nobody reads ends, and frees its run", async () => {
    const id = await createFineTune(server);
    const { feed } = server.store;
    const original = feed.events.bind(feed);
    const message = "x".repeat(500_000);
    const freed = new Promise<number>((resolve) => {
      feed.events = async function* () {
        let sent = 0;
        try {
          for (; sent < 1_000; sent += 1)
            yield { fineTuneId: "", sequence: sent + 1, type: "NOTE", message, at: new Date() };
        } finally {
          resolve(sent);
        }
      };
    });
    const query = `subscription { events(fineTuneId: "${id}") { event { message } } }`;
    const socket = reach();
    const body = JSON.stringify({ query });
    socket.write(post("/graphql", body.length).replace("\r\n", "\r\nAccept: text/event-stream\r\n") + body);
    await once(socket, "data");
    socket.pause();
    expect(await freed).toBeLessThan(1_000);
    socket.destroy();
    feed.events = original;
  });
});

test("an operation id that is used twice closes its socket, however long it is", async () => {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  const closed = once(socket, "close");
  await once(socket, "open");
  socket.send(JSON.stringify({ type: "connection_init" }));
  await once(socket, "message");
  const subscribe = { type: "subscribe", id: "\u20ac".repeat(500), payload: { query: "{ service { version } }" } };
  for (let turn = 0; turn < 2; turn += 1) socket.send(JSON.stringify(subscribe));
  expect((await closed)[0]).toBe(4409);
  expect(server.logged.join("")).not.toContain("WebSocket message failed");
});

const tick = () => new Promise((resolve) => setTimeout(resolve, 20));
