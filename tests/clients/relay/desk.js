// What relay-compiler reads: the documents of a small chat, as an app has them beside its components.
import { graphql } from "relay-runtime";

export const Answer = graphql`
  fragment desk_answer on Message {
    id
    role
    text
    createdAt
    rating
    turn { id status standaloneQuestion routes { confidence agent { name title } } }
    sources { id ordinal title url excerpt score spans { start end } }
  }
`;

export const SessionList = graphql`
  fragment desk_sessions on Query
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" }) {
    sessions(first: $count, after: $cursor) @connection(key: "desk_sessions") {
      edges { node { id chatId title updatedAt } }
    }
  }
`;

export const Sessions = graphql`
  query deskSessionsQuery($count: Int!, $cursor: String) {
    ...desk_sessions @arguments(count: $count, cursor: $cursor)
  }
`;

export const MessageList = graphql`
  fragment desk_messages on ChatSession
  @refetchable(queryName: "deskMessagesPaginationQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" }) {
    messages(last: $count, before: $cursor) @connection(key: "desk_messages") {
      edges { node { id role text ...desk_answer } }
    }
  }
`;

export const Session = graphql`
  query deskSessionQuery($id: ID!) {
    session(id: $id) { id title activeTurn { id } ...desk_messages }
  }
`;

export const Node = graphql`
  query deskNodeQuery($id: ID!) {
    node(id: $id) {
      __typename
      id
      ... on ChatSession { title }
      ... on Turn { status }
      ... on Source { title }
      ... on User { username }
      ... on Message { text }
      ...desk_answer @alias
    }
  }
`;

export const Opened = graphql`
  mutation deskNewChatMutation($input: NewChatInput, $connections: [ID!]!) {
    newChat(input: $input) @prependNode(connections: $connections, edgeTypeName: "ChatSessionEdge") {
      id
      chatId
      title
      updatedAt
    }
  }
`;

export const Deleted = graphql`
  mutation deskDeleteChatMutation($id: ID!) {
    deleteChat(sessionId: $id) @deleteRecord
  }
`;

export const Sent = graphql`
  subscription deskSendSubscription($input: SendMessageInput!) {
    sendMessage(input: $input) {
      __typename
      seq
      turnId
      ... on TurnStarted { userMessage { id text } }
      ... on RouteChosen { standaloneQuestion routes { agent { name } } }
      ... on SourcesFound { sources { id ordinal } }
      ... on AnswerDelta { text }
      ... on TurnCompleted {
        message { id text sources { id ordinal spans { start end } } ...desk_answer }
      }
      ... on TurnEnded { status error { code message } message { id text } }
    }
  }
`;

export const Resumed = graphql`
  subscription deskResumeSubscription($turn: ID!, $after: Int!) {
    resumeTurn(turnId: $turn, after: $after) { __typename seq turnId ... on AnswerDelta { text } }
  }
`;
