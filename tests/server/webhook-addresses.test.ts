/** No webhook reaches what is not on the public internet. */
import type { LookupAddress } from "node:dns";
import { expect, test } from "vitest";
import { addressesOf, isPublic } from "../../server/webhooks/addresses.ts";
import { posterOf } from "../../server/webhooks/post.ts";
import { startReceiver } from "./webhook-receiver.ts";

test.each([
  ["127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"],
  ["169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"],
  ["224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1"],
  ["::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "100::1"],
  ["::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1"],
  ["", "localhost", "127.1"],
])("not public: %s and the like", (...addresses) => {
  expect(addresses.filter(isPublic)).toEqual([]);
});

test("public addresses are", () => {
  const addresses = ["93.184.215.14", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"];
  expect(addresses.filter(isPublic)).toEqual(addresses);
});

const of = (...addresses: string[]): LookupAddress[] =>
  addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));

test("a name is refused if any of its addresses is, in whatever form it is written", async () => {
  const names: Record<string, LookupAddress[]> = {
    "good.test": of("8.8.8.8"),
    "mixed.test": of("8.8.8.8", "10.0.0.1"),
  };
  const resolve = async (host: string) =>
    names[host] ?? Promise.reject(Object.assign(new Error(), { code: "ENOTFOUND" }));
  const addresses = addressesOf(["internal.test"], resolve);
  const seen = (url: string) =>
    addresses.check(url, "url").then(
      () => "fine",
      (error: unknown) => String(error),
    );
  names["internal.test"] = of("10.0.0.1");
  expect(await seen("https://good.test/hook")).toBe("fine");
  expect(await seen("https://INTERNAL.test:8443/hook")).toBe("fine");
  expect(await seen("https://mixed.test/")).toMatch(/mixed\.test is 10\.0\.0\.1, which is not on the public internet/u);
  expect(await seen("https://none.test/")).toMatch(/cannot be resolved \(ENOTFOUND\)/u);
  for (const host of ["2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "[fd00::1]", "169.254.169.254"])
    expect(await seen(`http://${host}/`)).toMatch(/not on the public internet/u);
});

test("a name that was public when it was saved is looked at again by each connection", async () => {
  const receiver = await startReceiver();
  const { port } = new URL(receiver.url);
  const name = { is: of("8.8.8.8") };
  const addresses = addressesOf([], async () => name.is);
  const url = `http://rebound.test:${port}/`;
  await addresses.check(url, "url");
  name.is = of("127.0.0.1");
  const poster = posterOf(addresses, 2_000);
  const post = (to: string) =>
    poster.post(
      {
        id: "",
        number: 1,
        endpointId: "",
        messageId: "",
        type: "",
        payload: "{}",
        url: to,
        secrets: ["whsec_c2VjcmV0"],
        claimedAt: new Date(),
      },
      new AbortController().signal,
    );
  const refused = {
    result: "FAILED",
    responseCode: null,
    error: expect.stringMatching(/not on the public/u) as unknown,
  };
  expect(await post(url)).toMatchObject(refused);
  // As the database may hold it: no lookup is made for an address.
  expect(await post(`http://127.0.0.1:${port}/`)).toMatchObject(refused);
  expect(receiver.received).toEqual([]);
  const allowed = posterOf(addressesOf(["rebound.test"], async () => name.is));
  expect(
    await allowed.post(
      {
        id: "",
        number: 1,
        endpointId: "",
        messageId: "",
        type: "",
        payload: "{}",
        url,
        secrets: ["whsec_c2VjcmV0"],
        claimedAt: new Date(),
      },
      new AbortController().signal,
    ),
  ).toMatchObject({ result: "DELIVERED" });
  await Promise.all([poster.close(), allowed.close(), receiver.close()]);
});
