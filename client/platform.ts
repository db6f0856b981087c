/** What differs between Node and a browser: WebSockets, files, and bodies of requests. */
export interface Platform {
  /** The constructor of WebSockets. */
  webSocket(): Promise<unknown>;
  /** The bytes of a file. @throws SteplogError NOT_FOUND; INVALID_ARGUMENT where there are no files */
  openFile(path: string): Promise<ReadableStream<Uint8Array>>;
  /**
   * Writes a stream to a file, which appears, with the folders above it, when it is complete.
   * @param sha256 of the bytes, 64 hex digits
   * @throws SteplogError UNAVAILABLE when the bytes have another SHA-256; INVALID_ARGUMENT where there are no files
   */
  saveFile(path: string, bytes: ReadableStream<Uint8Array>, sha256?: string): Promise<void>;
  /** A stream as the body of a request. */
  bodyOf(bytes: ReadableStream<Uint8Array>): Promise<Pick<RequestInit, "body"> & { readonly duplex?: "half" }>;
}
