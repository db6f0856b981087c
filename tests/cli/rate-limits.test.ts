/** What commands do where the service's rate limit is used up. Runs in this process, against a service that refuses as told. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { namesOfService } from "../../cli/completion/service-names.ts";
import { service } from "../../cli/doctor/service.ts";
import { steplogHere } from "../support/command.ts";

/** A service that refuses its first `times` requests for `seconds`, and then has no aliases. */
async function limited(times: number, seconds: number) {
  let asked = 0;
  const send = (response: ServerResponse, status: number, body: object) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  const message = `The limit graphql is 6000 points in 60 seconds; 0 are left. Try again in ${seconds} s.`;
  const errors = [{ message, extensions: { code: "RATE_LIMITED", issues: [], retryAfter: seconds } }];
  const http = createServer((request, response) => {
    request.resume();
    asked += 1;
    if (asked <= times) send(response, 429, { errors });
    else send(response, 200, { data: { aliases: [] } });
  });
  await new Promise<void>((resolve) => void http.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => http.close().closeAllConnections());
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const run = (...more: string[]) => steplogHere(["alias", "list", "--json", "--url", url, ...more]);
  return { url, run, message, asked: () => asked };
}

test("a command waits as it is told, says so in one line on stderr, and goes on", async () => {
  const { run, asked } = await limited(1, 1);
  const { code, stdout, stderr } = await run();
  expect({ code, answer: JSON.parse(stdout) as unknown }).toEqual({ code: 0, answer: { aliases: [], next: null } });
  expect(stderr).toBe("Too many requests in the last minute. Going on in 1 s.\n");
  expect(asked()).toBe(2);
});

test("with --quiet it only waits", async () => {
  const { run } = await limited(1, 1);
  expect(await run("--quiet")).toMatchObject({ code: 0, stderr: "" });
});

test("what would take too long is an error that says when to try again", async () => {
  const { run, message, asked } = await limited(9, 3_600);
  const { code, stdout, stderr } = await run();
  expect(code).toBe(3);
  expect(stderr).toBe(`RATE_LIMITED: ${message}\n`);
  expect(JSON.parse(stdout)).toEqual({ error: { code: "RATE_LIMITED", message, issues: [] } });
  expect(asked()).toBe(1);
});

test("completion by Tab, and doctor, do not wait", async () => {
  const { url, asked } = await limited(99, 1);
  expect(await namesOfService("alias", url)).toEqual([]);
  expect(asked()).toBe(1);
  expect(await service(url)).toMatchObject({
    isThere: true,
    findings: [
      { status: "warn", message: `A Steplog answers at ${url}, and refuses more requests in this minute.` },
      {},
    ],
  });
  // With the one for its clock.
  expect(asked()).toBe(3);
});
