// The clients under one face: `one(query, variables)` gives a single result, `iterate` a stream of them, each with
// `data` and, when there are some, GraphQL's `errors`. `options` are the client's own.
import { createClient as createSse } from "graphql-sse";
import { createClient as createWs } from "graphql-ws";
import { gql } from "@apollo/client/core";
import { parse } from "graphql";
import WebSocket from "ws";
import * as apollo from "./examples/apollo.mjs";
import * as graphqlSse from "./examples/graphql-sse.mjs";
import * as graphqlWs from "./examples/graphql-ws.mjs";
import { errorsOf } from "./examples/turns.mjs";
import * as urql from "./examples/urql.mjs";

globalThis.WebSocket ??= WebSocket; // as browsers and newer Nodes have it

const bearer = (token) => (token() ? { authorization: `Bearer ${token()}` } : {});
export const sockets = (url, token) =>
  createWs({ url: url.replace(/^http/, "ws"), connectionParams: () => bearer(token), retryAttempts: 0 });
export const eventStreams = (url, token) => createSse({ url, headers: () => bearer(token), retryAttempts: 0 });
const MULTIPART = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0';

export const CLIENTS = {
  "graphql-ws": (url, token) => streaming(graphqlWs.connect(url, token)),
  "graphql-sse": (url, token) => streaming(graphqlSse.connect(url, token)),
  "urql over its fetch": (url, token, options) => ofUrql(urql.connect(url, token, options)),
  "urql over multipart": (url, token) => {
    const fetchOptions = () => ({ headers: { ...bearer(token), accept: `${MULTIPART}, application/json` } });
    return ofUrql(urql.connect(url, token, { fetchOptions }));
  },
  "urql over graphql-ws": (url, token) => over(sockets(url, token), (streams) => ofUrql(urql.connect(url, token, { streams }))),
  "urql over graphql-sse": (url, token) =>
    over(eventStreams(url, token), (streams) => ofUrql(urql.connect(url, token, { streams }))),
  "Apollo over multipart": (url, token, options) => ofApollo(apollo.connect(url, token, options)),
  "Apollo over graphql-ws": (url, token) =>
    over(sockets(url, token), (streams) => ofApollo(apollo.connect(url, token, { sockets: streams }))),
};

/** `name` is one of CLIENTS; `token` a string, or none. */
export function connect(name, url, token, options) {
  return CLIENTS[name](url, () => token, options);
}

const kind = (query) => parse(query).definitions.find((definition) => definition.operation).operation;
function result({ data, ...told }) {
  const errors = errorsOf(told);
  return errors.length ? { data, errors } : { data };
}

function streaming({ subscribe, close }) {
  const one = async (query, variables) => {
    for await (const answer of subscribe(query, variables)) return answer;
    throw new Error("the operation gave no result");
  };
  return { one, iterate: subscribe, subscribe, close };
}

process.on("unhandledRejection", (reason) => {
  if (reason?.name !== "AbortError") throw reason; // urql leaves that of its own fetch to nobody when a stream is left
});

function ofUrql({ client, subscribe, close }) {
  const one = async (query, variables) => {
    const answer = await client[kind(query)](query, variables ?? {}).toPromise();
    if (answer.error?.networkError) throw answer.error;
    return result(answer);
  };
  async function* iterate(query, variables) {
    let last;
    for await (const answer of subscribe(query, variables)) {
      if (answer.error?.networkError) throw answer.error;
      const told = JSON.stringify(result(answer));
      if (answer.hasNext || told !== last) yield result(answer); // urql tells the last one again, to say that it was
      last = told;
    }
  }
  return { client, one, iterate, subscribe, close };
}

function ofApollo({ client, subscribe, close }) {
  const one = async (query, variables) => {
    const operation = { variables, errorPolicy: "all", fetchPolicy: "no-cache" };
    const asked =
      kind(query) === "mutation"
        ? client.mutate({ mutation: gql(query), ...operation })
        : client.query({ query: gql(query), ...operation });
    const answer = await asked;
    if (answer.error && !errorsOf(answer).length) throw answer.error;
    return result(answer);
  };
  async function* iterate(query, variables) {
    for await (const answer of subscribe(query, variables)) {
      if (answer.error && !errorsOf(answer).length) throw answer.error;
      yield result(answer);
    }
  }
  return { client, one, iterate, subscribe, close };
}

function over(streams, made) {
  const face = made(streams);
  return { ...face, close: () => Promise.all([face.close(), streams.dispose()]) };
}
