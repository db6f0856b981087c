/** A bucket of an S3: the calls that blobs need, and what their failures mean. */
import { setMaxListeners } from "node:events";
import type { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { SteplogError } from "../../../schema/errors.ts";
import type { ByteRange } from "../blobs.ts";

export interface BucketOptions {
  readonly bucket: string;
  /** Before every key: "" or "name/". */
  readonly prefix: string;
  /** Of an S3 that is not Amazon's: http://host:port. */
  readonly endpoint: string | undefined;
  /** The address by which clients reach the same S3, if it is another one. */
  readonly publicEndpoint: string | undefined;
  readonly region: string | undefined;
  /** Whether the bucket is a part of the path, and not of the host's name. */
  readonly pathStyle: boolean;
}

/** An upload in parts that has not ended. */
export interface BegunUpload {
  readonly id: string;
  readonly name: string;
  readonly begun: Date;
}

export interface StoredPart {
  readonly number: number;
  readonly etag: string;
  readonly bytes: number;
}

const connectMs = 5_000;
/** A connection on which nothing moves for so long is given up. */
const silentMs = 30_000;
/** How long a link can be used. A download that has begun is not broken off. */
const linkSeconds = 3_600;

/** Not named Bucket: TypeScript 7 writes `_a` for that field of a call where the class of the same name has private methods. */
export class S3Bucket {
  /** s3://bucket/prefix */
  readonly place: string;
  readonly #options: BucketOptions;
  readonly #client: S3Client;
  readonly #linking: S3Client;
  readonly #closing = new AbortController();

  constructor(options: BucketOptions) {
    const { bucket, prefix, endpoint, publicEndpoint } = options;
    this.place = `s3://${bucket}/${prefix}`.replace(/\/$/u, "");
    this.#options = options;
    // Each request that is under way listens, and there may be many.
    setMaxListeners(0, this.#closing.signal);
    this.#client = new S3Client(configOf(options, endpoint));
    this.#linking = publicEndpoint === undefined ? this.#client : new S3Client(configOf(options, publicEndpoint));
  }

  /** Ends what is under way. */
  close(): void {
    this.#closing.abort();
    this.#client.destroy();
    this.#linking.destroy();
  }

  /** @throws INVALID_ARGUMENT for a bucket or credentials that cannot be used; UNAVAILABLE */
  async check(): Promise<void> {
    await this.#ask(
      (client) => client.send(new ListObjectsV2Command({ ...this.#at(""), Prefix: this.#key(""), MaxKeys: 1 })),
      true,
    );
  }

  /** Null when there is no such object. */
  async size(name: string): Promise<number | null> {
    const ask = this.#ask((client, options) => client.send(new HeadObjectCommand(this.#at(name)), options));
    const found = await orNull(ask);
    return found === null ? null : (found.ContentLength ?? 0);
  }

  /** Null when there is no such object. */
  async get(name: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | null> {
    const Range = range && `bytes=${range.first}-${range.last}`;
    const input = { ...this.#at(name), Range };
    const found = await orNull(this.#ask((client, options) => client.send(new GetObjectCommand(input), options)));
    return found && this.#translated(found.Body as Readable);
  }

  async put(name: string, Body: Uint8Array, ContentMD5: string): Promise<void> {
    const input = { ...this.#at(name), Body, ContentMD5 };
    await this.#ask((client, options) => client.send(new PutObjectCommand(input), options));
  }

  async remove(name: string): Promise<void> {
    await this.#ask((client, options) => client.send(new DeleteObjectCommand(this.#at(name)), options));
  }

  /** All objects whose names start so, in order. */
  async *list(start: string): AsyncGenerator<{ readonly name: string; readonly bytes: number }> {
    let after: string | undefined;
    do {
      const input = { Bucket: this.#options.bucket, Prefix: this.#key(start), ContinuationToken: after };
      const page = await this.#ask((client, options) => client.send(new ListObjectsV2Command(input), options));
      for (const { Key = "", Size = 0 } of page.Contents ?? []) yield { name: this.#nameOf(Key), bytes: Size };
      after = page.NextContinuationToken;
    } while (after !== undefined);
  }

  /** By the bucket's clock, as far as an answer has told it, in milliseconds since 1970: it says until when a link is valid. */
  now(): number {
    return Date.now() + this.#client.config.systemClockOffset;
  }

  /** Where a client may load it with a GET. */
  link(name: string, disposition: string): Promise<string> {
    const its = { ResponseContentDisposition: disposition, ResponseContentType: "application/octet-stream" };
    const command = new GetObjectCommand({ ...this.#at(name), ...its });
    const signing = { expiresIn: linkSeconds, signingDate: new Date(this.now()) };
    return getSignedUrl(this.#linking, command, signing).catch((error: unknown) => {
      throw this.#failure(error, false);
    });
  }

  // Uploads in parts

  /** Uploads that were begun and not ended, the newest first. */
  async uploads(start: string, MaxUploads = 1_000): Promise<BegunUpload[]> {
    const found: BegunUpload[] = [];
    let next: { readonly KeyMarker?: string | undefined; readonly UploadIdMarker?: string | undefined } | null = {};
    while (next) {
      const input = { Bucket: this.#options.bucket, Prefix: this.#key(start), MaxUploads, ...next };
      const page: ListMultipartUploadsCommandOutput = await this.#ask((client, options) =>
        client.send(new ListMultipartUploadsCommand(input), options),
      );
      for (const { UploadId = "", Key = "", Initiated = new Date(0) } of page.Uploads ?? [])
        found.push({ id: UploadId, name: this.#nameOf(Key), begun: Initiated });
      const { IsTruncated = false, NextKeyMarker, NextUploadIdMarker } = page;
      next = IsTruncated ? { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker } : null;
    }
    return found.toSorted((a, b) => b.begun.getTime() - a.begun.getTime());
  }

  async beginUpload(name: string): Promise<string> {
    const input = { ...this.#at(name), ContentType: "application/octet-stream" };
    const { UploadId = "" } = await this.#ask((client, options) =>
      client.send(new CreateMultipartUploadCommand(input), options),
    );
    return UploadId;
  }

  /** The parts of an upload that are stored; null when there is no such upload any more. */
  async parts(name: string, UploadId: string): Promise<Map<number, StoredPart> | null> {
    const parts = new Map<number, StoredPart>();
    let PartNumberMarker: string | undefined;
    do {
      const input = { ...this.#at(name), UploadId, PartNumberMarker };
      const page = await orNull(this.#ask((client, options) => client.send(new ListPartsCommand(input), options)));
      if (!page) return null;
      for (const { PartNumber = 0, ETag = "", Size = 0 } of page.Parts ?? []) {
        parts.set(PartNumber, { number: PartNumber, etag: ETag, bytes: Size });
      }
      PartNumberMarker = page.IsTruncated ? page.NextPartNumberMarker : undefined;
    } while (PartNumberMarker !== undefined);
    return parts;
  }

  /** The entity tag of the stored part. @throws NOT_FOUND when the upload has ended */
  async putPart(name: string, UploadId: string, PartNumber: number, Body: Uint8Array, md5: string): Promise<string> {
    const input = { ...this.#at(name), UploadId, PartNumber, Body, ContentMD5: md5 };
    const { ETag = "" } = await this.#ask((client, options) => client.send(new UploadPartCommand(input), options));
    return ETag;
  }

  /** @throws NOT_FOUND when the upload has ended */
  async endUpload(name: string, UploadId: string, parts: readonly StoredPart[]): Promise<void> {
    const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
    const input = { ...this.#at(name), UploadId, MultipartUpload: { Parts } };
    await this.#ask((client, options) => client.send(new CompleteMultipartUploadCommand(input), options));
  }

  async abortUpload(name: string, UploadId: string): Promise<void> {
    const input = { ...this.#at(name), UploadId };
    await this.#ask((client, options) => client.send(new AbortMultipartUploadCommand(input), options));
  }

  // Inside

  #key(name: string): string {
    return `${this.#options.prefix}${name}`;
  }

  #nameOf(key: string): string {
    return key.slice(this.#options.prefix.length);
  }

  #at(name: string) {
    return { Bucket: this.#options.bucket, Key: this.#key(name) };
  }

  async #ask<Answer>(
    call: (client: S3Client, options: { abortSignal: AbortSignal }) => Promise<Answer>,
    isCheck = false,
  ): Promise<Answer> {
    return call(this.#client, { abortSignal: this.#closing.signal }).catch((error: unknown) => {
      throw this.#failure(error, isCheck);
    });
  }

  async *#translated(body: Readable): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of body) yield piece as Uint8Array;
    } catch (error) {
      throw this.#failure(error, false);
    }
  }

  /** @param isCheck whether somebody reads the message who can change the settings */
  #failure(error: unknown, isCheck: boolean): SteplogError {
    const { name, status, code } = answerOf(error);
    const settings = isCheck ? "INVALID_ARGUMENT" : "UNAVAILABLE";
    const failure = (kind: "NOT_FOUND" | "UNAVAILABLE" | "INVALID_ARGUMENT", message: string) =>
      new SteplogError(kind, message, [], { cause: error });
    if (name === "NoSuchBucket") {
      return failure(settings, `There is no bucket for ${this.place}. Create it, or correct STEPLOG_STORAGE.`);
    }
    if (status === 404) return failure("NOT_FOUND", `It is not in ${this.place} (${name}).`);
    if (name === "CredentialsProviderError") {
      const advice = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.";
      return failure(settings, `There are no credentials for ${this.place}. ${advice}`);
    }
    if (status === 401 || status === 403) {
      const advice = "Check the credentials, and that they may list, read, write and delete there.";
      return failure(settings, `${this.place} refuses the credentials (${name}). ${advice}`);
    }
    if (status === 301 || status === 400) {
      const advice = "Check the bucket's name, STEPLOG_S3_ENDPOINT, STEPLOG_S3_REGION and STEPLOG_S3_PATH_STYLE.";
      return failure(settings, `${this.place} refuses the request (${name}). ${advice}`);
    }
    if (status === null && code === null && isCheck && error instanceof Error && !networkErrors.has(name)) {
      return failure(settings, `${this.place} cannot be used: ${error.message}`);
    }
    const where = this.#options.endpoint ?? "Amazon S3";
    return failure("UNAVAILABLE", `${this.place} does not answer at ${where} (${code ?? name}).`);
  }
}

/** Of the SDK's own, without a code. */
const networkErrors = new Set(["TimeoutError", "AbortError"]);

/**
 * Checksums of Amazon's newer kind are sent only where the protocol requires one: other S3 refuse them. Content-MD5 protects
 * uploads everywhere, and the SHA-256 of what is read protects the rest.
 */
function configOf({ region, pathStyle }: BucketOptions, endpoint: string | undefined): S3ClientConfig {
  return {
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    forcePathStyle: pathStyle,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: { connectionTimeout: connectMs, socketTimeout: silentMs },
  };
}

function answerOf(error: unknown): { name: string; status: number | null; code: string | null } {
  if (!(error instanceof Error)) return { name: "unknown", status: null, code: null };
  const code = "code" in error && typeof error.code === "string" ? error.code : null;
  const meta = "$metadata" in error ? error.$metadata : null;
  const isMeta = typeof meta === "object" && meta !== null && "httpStatusCode" in meta;
  return {
    name: error.name,
    status: isMeta && typeof meta.httpStatusCode === "number" ? meta.httpStatusCode : null,
    code,
  };
}

async function orNull<Answer>(answer: Promise<Answer>): Promise<Answer | null> {
  return answer.catch((error: unknown) => {
    if (error instanceof SteplogError && error.code === "NOT_FOUND") return null;
    throw error;
  });
}
