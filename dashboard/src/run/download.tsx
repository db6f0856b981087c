/** A link that saves a file of the service, also where a key is needed. */
import { useState } from "preact/hooks";
import { download } from "../api/client.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { readKey } from "../api/session.ts";

interface DownloadProps {
  readonly url: string;
  readonly name: string;
  /** Left out, the name. */
  readonly children?: string;
}

export function Download({ url, name, children = name }: DownloadProps) {
  const [failure, setFailure] = useState<Failure | null>(null);
  const save = (event: MouseEvent) => {
    if (readKey() === "") return;
    event.preventDefault();
    setFailure(null);
    download(url, name).catch((error: unknown) => setFailure(asFailure(error)));
  };
  return (
    <>
      <a href={url} download={name} onClick={save}>
        {children}
        <span class="hidden"> Download {name}</span>
      </a>
      {failure && (
        <span class="bad" role="alert">
          {" "}
          {failure.message}
        </span>
      )}
    </>
  );
}
