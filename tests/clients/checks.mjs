// What holds for every turn, whichever client streamed it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

export const QUESTION = "What is the nano pricing plan?";
export const PASSWORD = "a_strong_password";
export const MESSAGE = `id role text turn { id } sources { id ordinal title excerpt spans { start end } }`;
export const EVENT = `__typename seq turnId
  ... on TurnStarted { userMessage { ${MESSAGE} } }
  ... on RouteChosen { standaloneQuestion routes { confidence reason agent { name title } } }
  ... on SourcesFound { sources { id ordinal } }
  ... on AnswerDelta { text }
  ... on TurnCompleted { message { ${MESSAGE} } }
  ... on TurnEnded { status error { code } message { text } }`;
export const SEND = `subscription Send($input: SendMessageInput!) { sendMessage(input: $input) { ${EVENT} } }`;
export const RESUME = `subscription Resume($turn: ID!, $after: Int!) { resumeTurn(turnId: $turn, after: $after) { ${EVENT} } }`;
export const REGISTER = `mutation($input: RegisterInput!) { register(input: $input) { accessToken } }`;
export const LOGIN = `mutation($input: LoginInput!) { login(input: $input) { accessToken user { username } } }`;
export const MESSAGES = `query($id: ID!) { messages(sessionId: $id, last: 2) { edges { node { ${MESSAGE} } } } }`;

/** Of a new account: what `register` and `login` take. */
export function person() {
  const username = `client-${randomUUID().slice(0, 8)}`;
  return { username, email: `${username}@example.test`, password: PASSWORD };
}

export function data(result) {
  assert.equal(result.errors, undefined, JSON.stringify(result.errors));
  return result.data;
}

/** A plain POST, for what a scenario is not about. */
export async function post(url, token, query, variables) {
  const headers = { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  return data(await response.json());
}

/** A new account's access token and a chat of its own. */
export async function begin(url) {
  const { register } = await post(url, undefined, REGISTER, { input: person() });
  const { newChat } = await post(url, register.accessToken, "mutation { newChat { id } }");
  return { token: register.accessToken, chat: newChat.id };
}

/** The message that ends a whole turn. */
export function checkWhole(events) {
  assert.deepEqual(events.map((event) => event.seq), events.map((_, index) => index + 1), "seq has no gap");
  assert.equal(events.at(-1).__typename, "TurnCompleted", JSON.stringify(events.at(-1)));
  assert.ok(events.some((event) => event.__typename === "SourcesFound"));
  const { message } = events.at(-1);
  const written = events.filter((event) => event.__typename === "AnswerDelta").map((event) => event.text);
  assert.equal(written.join(""), message.text, "the deltas are the text");
  assert.ok(message.sources.length > 0, "there are sources");
  const length = [...message.text].length; // spans count code points
  for (const { ordinal, spans } of message.sources) {
    assert.ok(message.text.includes(`[${ordinal}]`), "each source has its marker");
    assert.ok(spans.length > 0);
    for (const { start, end } of spans) assert.ok(0 <= start && start < end && end <= length);
  }
  return message;
}
