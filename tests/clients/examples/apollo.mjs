import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client/core";
import { SetContextLink } from "@apollo/client/link/context";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { OperationTypeNode } from "graphql";
import { iterated } from "./iterated.mjs";

/** The types behind the schema's interfaces, for fragments such as `... on Message`. */
export const possibleTypes = {
  Node: ["User", "ChatSession", "Message", "Turn", "Source"],
  TurnEvent: ["TurnStarted", "RouteChosen", "SourcesFound", "AnswerDelta", "TurnCompleted", "TurnEnded"],
};

/** Over HTTP alone, where subscriptions are multipart answers; or with `sockets`, a client of graphql-ws, for them. */
export function connect(url, token, { sockets, before = [], ...options } = {}) {
  const authorized = new SetContextLink(() => ({ headers: token() ? { authorization: `Bearer ${token()}` } : {} }));
  const http = ApolloLink.from([...before, authorized, new HttpLink({ uri: url, ...options })]);
  const isSubscription = ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION;
  const link = sockets ? ApolloLink.split(isSubscription, new GraphQLWsLink(sockets), http) : http;
  const client = new ApolloClient({ link, cache: new InMemoryCache({ possibleTypes }) });
  return {
    client,
    subscribe: (query, variables) => iterated((sink) => client.subscribe({ query: gql(query), variables }).subscribe(sink)),
    close: () => client.stop(),
  };
}
