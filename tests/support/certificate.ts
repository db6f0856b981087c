/**
 * A key and a certificate of its own for 127.0.0.1, which NODE_EXTRA_CA_CERTS makes a program trust: node can sign one and
 * not write one, and openssl's command is not on every machine.
 */
import { generateKeyPairSync, sign } from "node:crypto";

export function certificate(): { readonly key: string; readonly cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ecdsaWithSha256 = der(0x30, Buffer.from("06082a8648ce3d040302", "hex"));
  const commonName = Buffer.concat([Buffer.from("0603550403", "hex"), der(0x0c, Buffer.from("127.0.0.1"))]);
  const name = der(0x30, der(0x31, der(0x30, commonName)));
  const day = 86_400_000;
  const validity = der(0x30, time(Date.now() - day), time(Date.now() + day));
  // subjectAltName: an address of four bytes.
  const address = der(0x04, der(0x30, der(0x87, Buffer.from([127, 0, 0, 1]))));
  const extensions = der(0xa3, der(0x30, der(0x30, Buffer.from("0603551d11", "hex"), address)));
  const version = der(0xa0, der(0x02, Buffer.of(2)));
  const serial = der(0x02, Buffer.of(1));
  const spki = publicKey.export({ type: "spki", format: "der" });
  const content = der(0x30, version, serial, ecdsaWithSha256, name, validity, name, spki, extensions);
  const signature = der(0x03, Buffer.of(0), sign("sha256", content, privateKey));
  const base64 = der(0x30, content, ecdsaWithSha256, signature).toString("base64");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${base64.replaceAll(/.{64}/gu, "$&\n")}\n-----END CERTIFICATE-----\n`,
  };
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), content]);
}

/** YYMMDDhhmmssZ */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]/gu, "").slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}
