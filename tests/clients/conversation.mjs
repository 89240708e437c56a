// node conversation.mjs CLIENT URL: a whole conversation, and what can go wrong in one, as a client in the wild has it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { LOGIN, MESSAGES, QUESTION, REGISTER, RESUME, SEND, checkWhole, data, person } from "./checks.mjs";
import { connect as connectTo } from "./clients.mjs";
import { closeCode, errorsOf } from "./examples/turns.mjs";

const [name, url] = process.argv.slice(2);
const connect = (token) => connectTo(name, url, token);

async function signIn() {
  const { email, ...login } = person();
  const anonymous = connect();
  data(await anonymous.one(REGISTER, { input: { ...login, email } }));
  const granted = data(await anonymous.one(LOGIN, { input: login }));
  assert.equal(granted.login.user.username, login.username);
  const refused = await anonymous.one("{ agents { name } }");
  assert.equal(refused.errors[0].extensions.code, "UNAUTHENTICATED");
  const malformed = await anonymous.one("{ nothing }").catch((thrown) => ({ errors: errorsOf(thrown) }));
  assert.equal(malformed.errors[0].extensions.code, "GRAPHQL_VALIDATION_FAILED");
  await anonymous.close();
  return granted.login.accessToken;
}

async function collect(results, field, until = Infinity) {
  const events = [];
  for await (const result of results) {
    events.push(data(result)[field]);
    if (events.length === until) break;
  }
  return events;
}

/** The code of the error that a subscription ends with, in its only result or thrown; or the socket's close code. */
async function refusal(results) {
  try {
    const told = [];
    for await (const result of results) told.push(result);
    assert.equal(told.length, 1, JSON.stringify(told));
    return told[0].errors[0].extensions.code;
  } catch (thrown) {
    if (thrown instanceof assert.AssertionError) throw thrown;
    const [error] = errorsOf(thrown);
    return error?.extensions.code ?? closeCode(thrown);
  }
}

const token = await signIn();
const client = connect(token);
const { newChat: chat } = data(await client.one("mutation { newChat { id chatId } }"));
const input = { sessionId: chat.id, text: QUESTION, clientMessageId: randomUUID() };

const events = await collect(client.iterate(SEND, { input }), "sendMessage");
assert.deepEqual(events.slice(0, 2).map((event) => event.__typename), ["TurnStarted", "RouteChosen"]);
assert.equal(events[0].userMessage.text, QUESTION);
assert.ok(events[1].routes.length > 0);
const message = checkWhole(events);

const { messages } = data(await client.one(MESSAGES, { id: chat.id }));
assert.deepEqual(messages.edges.map(({ node }) => node.role), ["USER", "ASSISTANT"]);
assert.deepEqual(messages.edges[1].node, message, "what was streamed is what is stored");

assert.deepEqual(await collect(client.iterate(SEND, { input }), "sendMessage"), events, "the same key replays the turn");

const refused = {
  text: await refusal(client.iterate(SEND, { input: { ...input, text: "" } })),
  key: await refusal(client.iterate(SEND, { input: { ...input, text: "Another question?" } })),
  turn: await refusal(client.iterate(RESUME, { turn: "VHVybjo5OTk5OTk=", after: 0 })),
};
assert.deepEqual(refused, { text: "BAD_USER_INPUT", key: "IDEMPOTENCY_MISMATCH", turn: "NOT_FOUND" });

// Cut after three events, then exactly the rest.
const next = { sessionId: chat.id, text: QUESTION, clientMessageId: randomUUID() };
const seen = await collect(client.iterate(SEND, { input: next }), "sendMessage", 3);
await client.close();
const again = connect(token);
const rest = await collect(again.iterate(RESUME, { turn: seen[0].turnId, after: seen.at(-1).seq }), "resumeTurn");
checkWhole([...seen, ...rest]);
assert.deepEqual(await collect(again.iterate(RESUME, { turn: seen[0].turnId, after: 0 }), "resumeTurn"), [...seen, ...rest]);
await again.close();

const stranger = connect("a token that nobody gave out");
const denied = await refusal(stranger.iterate(SEND, { input }));
await stranger.close();

console.log(JSON.stringify({ events: events.length, text: message.text, sources: message.sources.length, denied }));
process.exit();
