// The two clients under one face: `one(query, variables)` gives a single result, `iterate` a stream of them.
import { createClient as createSse } from "graphql-sse";
import { createClient as createWs } from "graphql-ws";
import WebSocket from "ws";

export function overWebSocket(url, token, options = {}) {
  const client = createWs({
    url: url.replace(/^http/, "ws"),
    webSocketImpl: WebSocket,
    connectionParams: token ? { authorization: `Bearer ${token}` } : undefined,
    retryAttempts: 0,
    ...options,
  });
  return face(client);
}

export function overEventStream(url, token, options = {}) {
  const client = createSse({
    url,
    headers: token ? { authorization: `Bearer ${token}` } : undefined,
    retryAttempts: 0,
    ...options,
  });
  return face(client);
}

function face(client) {
  const iterate = (query, variables) => client.iterate({ query, variables });
  return {
    iterate,
    async one(query, variables) {
      for await (const result of iterate(query, variables)) return result;
      throw new Error("the operation gave no result");
    },
    subscribe: client.subscribe.bind(client),
    dispose: () => client.dispose(),
  };
}
