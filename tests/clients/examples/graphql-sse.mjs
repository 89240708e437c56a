import { createClient } from "graphql-sse";

/** `token()` is asked for each request, so that a renewed one is used. */
export function connect(url, token) {
  const client = createClient({
    url,
    headers: () => (token() ? { authorization: `Bearer ${token()}` } : {}),
    retryAttempts: 0, // `ask` tries again, with its cursor
  });
  return {
    subscribe: (query, variables) => client.iterate({ query, variables }),
    close: () => client.dispose(),
  };
}
