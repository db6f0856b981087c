/**
 * A request with the service's API token. One that is replaced while the request is on its way, by a rotation or by
 * somebody who signs in, is no reason to fail: what is refused to the old token is asked once more with the new one, unless
 * its body was a stream.
 * @throws what fetch throws
 */
export async function fetchWithToken(
  url: string | URL | Request,
  init: RequestInit | undefined,
  tokenOf: () => string | undefined,
): Promise<Response> {
  const send = (token: string | undefined) => {
    const headers = new Headers(init?.headers);
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    return fetch(url, { ...init, headers });
  };
  const token = tokenOf();
  const response = await send(token);
  if (response.status !== 401 || init?.body instanceof ReadableStream) return response;
  const newest = tokenOf();
  if (newest === token) return response;
  await response.body?.cancel();
  return send(newest);
}
