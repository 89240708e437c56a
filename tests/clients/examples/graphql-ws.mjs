import { createClient } from "graphql-ws";

/** `token()` is asked for each connection, so that a renewed one is used. */
export function connect(url, token) {
  const client = createClient({
    url: url.replace(/^http/, "ws"),
    connectionParams: () => (token() ? { authorization: `Bearer ${token()}` } : {}),
    retryAttempts: 0, // `ask` tries again, with its cursor
  });
  return {
    subscribe: (query, variables) => client.iterate({ query, variables }),
    close: () => client.dispose(),
  };
}
