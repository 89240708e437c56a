import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { pipe, toAsyncIterable } from "wonka";

/** Over its own fetch; or with `streams`, a client of graphql-ws or graphql-sse, for the subscriptions. */
export function connect(url, token, { streams, ...options } = {}) {
  const overStreams = subscriptionExchange({
    forwardSubscription: ({ query, variables }) => ({
      subscribe: (sink) => ({ unsubscribe: streams.subscribe({ query, variables }, sink) }),
    }),
  });
  const client = new Client({
    url,
    exchanges: streams ? [fetchExchange, overStreams] : [fetchExchange],
    fetchSubscriptions: !streams,
    preferGetMethod: false, // true is fine for queries, too
    fetchOptions: () => ({ headers: token() ? { authorization: `Bearer ${token()}` } : {} }),
    ...options,
  });
  return {
    client,
    async *subscribe(query, variables) {
      for await (const result of pipe(client.subscription(query, variables), toAsyncIterable)) {
        yield result;
        if (result.error) return; // urql does not always say that nothing follows
      }
    },
    close: () => {},
  };
}
