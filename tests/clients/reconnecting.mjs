// node reconnecting.mjs URL TOKEN CHAT: the connection breaks in the middle; graphql-ws reconnects and subscribes
// again by itself, with the same variables, and the turn is neither asked twice nor loses a word.
import assert from "node:assert/strict";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, token, chat] = process.argv.slice(2);
const sockets = [];
class Watched extends WebSocket {
  constructor(...given) {
    super(...given);
    sockets.push(this);
  }
}
const client = createClient({
  url: url.replace(/^http/, "ws"),
  webSocketImpl: Watched,
  connectionParams: { authorization: `Bearer ${token}` },
  retryAttempts: 5,
  retryWait: async () => {},
  shouldRetry: () => true,
});
const SEND = `subscription($input: SendMessageInput!) { sendMessage(input: $input) {
  seq turnId ... on AnswerDelta { text } ... on TurnCompleted { message { text } } } }`;
const input = { sessionId: chat, text: "What is the nano pricing plan?", clientMessageId: "once" };

const events = new Map();
const turns = new Set();
let received = 0;
for await (const { data } of client.iterate({ query: SEND, variables: { input } })) {
  const event = data.sendMessage;
  events.set(event.seq, event);
  turns.add(event.turnId);
  received += 1;
  if (received === 3) sockets[0].terminate();
}
await client.dispose();

assert.equal(sockets.length, 2, "it reconnected once");
assert.equal(turns.size, 1, "it asked once");
assert.deepEqual([...events.keys()].sort((a, b) => a - b), [...events.keys()].map((_, index) => index + 1));
const all = [...events.values()].sort((a, b) => a.seq - b.seq);
assert.equal(all.map((event) => event.text ?? "").join(""), all.at(-1).message.text);
console.log(JSON.stringify({ events: events.size, received }));
