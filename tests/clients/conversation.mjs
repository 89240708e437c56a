// node conversation.mjs (ws|sse) URL: a whole conversation as a client in the wild has it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { overEventStream, overWebSocket } from "./transports.mjs";

const [kind, url] = process.argv.slice(2);
const connect = { ws: overWebSocket, sse: overEventStream }[kind];
const QUESTION = "What is the nano pricing plan?";

const MESSAGE = `id role text turn { id } sources { id ordinal title excerpt spans { start end } }`;
const EVENT = `__typename seq turnId
  ... on TurnStarted { userMessage { ${MESSAGE} } }
  ... on RouteChosen { standaloneQuestion routes { confidence reason agent { name title } } }
  ... on SourcesFound { sources { id ordinal } }
  ... on AnswerDelta { text }
  ... on TurnCompleted { message { ${MESSAGE} } }
  ... on TurnEnded { status error { code } message { text } }`;
const SEND = `subscription Send($input: SendMessageInput!) { sendMessage(input: $input) { ${EVENT} } }`;
const RESUME = `subscription Resume($turn: ID!, $after: Int!) { resumeTurn(turnId: $turn, after: $after) { ${EVENT} } }`;
const REGISTER = `mutation($input: RegisterInput!) { register(input: $input) { accessToken } }`;
const LOGIN = `mutation($input: LoginInput!) { login(input: $input) { accessToken user { username } } }`;
const MESSAGES = `query($id: ID!) { messages(sessionId: $id, last: 2) { edges { node { ${MESSAGE} } } } }`;

const data = (result) => {
  assert.equal(result.errors, undefined, JSON.stringify(result.errors));
  return result.data;
};

async function signIn() {
  const username = `client-${randomUUID().slice(0, 8)}`;
  const password = "a_strong_password";
  const anonymous = connect(url);
  data(await anonymous.one(REGISTER, { input: { username, email: `${username}@example.test`, password } }));
  const { login } = data(await anonymous.one(LOGIN, { input: { username, password } }));
  assert.equal(login.user.username, username);
  const refused = await anonymous.one("{ agents { name } }");
  assert.equal(refused.errors[0].extensions.code, "UNAUTHENTICATED");
  await anonymous.dispose();
  return login.accessToken;
}

async function collect(results, field, until = Infinity) {
  const events = [];
  for await (const result of results) {
    events.push(data(result)[field]);
    if (events.length === until) break;
  }
  return events;
}

function checkWhole(events) {
  assert.deepEqual(events.map((event) => event.seq), events.map((_, index) => index + 1), "seq has no gap");
  assert.deepEqual(events.slice(0, 2).map((event) => event.__typename), ["TurnStarted", "RouteChosen"]);
  assert.equal(events.at(-1).__typename, "TurnCompleted", JSON.stringify(events.at(-1)));
  assert.equal(events[0].userMessage.text, QUESTION);
  assert.ok(events[1].routes.length > 0);
  assert.ok(events.some((event) => event.__typename === "SourcesFound"));
  const { message } = events.at(-1);
  const written = events.filter((event) => event.__typename === "AnswerDelta").map((event) => event.text);
  assert.equal(written.join(""), message.text, "the deltas are the text");
  assert.ok(message.sources.length > 0, "there are sources");
  const length = [...message.text].length; // spans count code points
  for (const { ordinal, spans } of message.sources) {
    assert.ok(message.text.includes(`[${ordinal}]`), "each source has its marker");
    for (const { start, end } of spans) assert.ok(0 <= start && start < end && end <= length);
  }
  return message;
}

const token = await signIn();
const client = connect(url, token);
const { newChat: chat } = data(await client.one("mutation { newChat { id chatId } }"));
const input = { sessionId: chat.id, text: QUESTION, clientMessageId: randomUUID() };

const events = await collect(client.iterate(SEND, { input }), "sendMessage");
const message = checkWhole(events);

const { messages } = data(await client.one(MESSAGES, { id: chat.id }));
assert.deepEqual(messages.edges.map(({ node }) => node.role), ["USER", "ASSISTANT"]);
assert.deepEqual(messages.edges[1].node, message, "what was streamed is what is stored");

assert.deepEqual(await collect(client.iterate(SEND, { input }), "sendMessage"), events, "the same key replays the turn");

// Cut after three events, then exactly the rest.
const next = { sessionId: chat.id, text: QUESTION, clientMessageId: randomUUID() };
const seen = await collect(client.iterate(SEND, { input: next }), "sendMessage", 3);
await client.dispose();
const again = connect(url, token);
const rest = await collect(again.iterate(RESUME, { turn: seen[0].turnId, after: seen.at(-1).seq }), "resumeTurn");
checkWhole([...seen, ...rest]);
assert.deepEqual(await collect(again.iterate(RESUME, { turn: seen[0].turnId, after: 0 }), "resumeTurn"), [...seen, ...rest]);
await again.dispose();

console.log(JSON.stringify({ events: events.length, text: message.text, sources: message.sources.length }));
