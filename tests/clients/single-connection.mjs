// node single-connection.mjs (kept|lazy) URL: graphql-sse's own client with one connection for all its operations.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createClient } from "graphql-sse";
import { MESSAGES, QUESTION, RESUME, SEND, begin, checkWhole, data, post } from "./checks.mjs";

const [keeping, url] = process.argv.slice(2);
const { token, chat } = await begin(url);

/** Counts the requests by method and status, and can cut the stream that is open. */
function connect(options = {}) {
  const requests = [];
  const streams = [];
  const fetchFn = async (address, init) => {
    const cut = new AbortController();
    const signal = AbortSignal.any([init.signal, cut.signal]);
    const response = await fetch(address, { ...init, signal });
    requests.push(`${init.method} ${response.status}`);
    if (init.method === "GET") streams.push(cut);
    return response;
  };
  const headers = { authorization: `Bearer ${token}` };
  const client = createClient({
    url, headers, fetchFn, singleConnection: true, lazy: keeping === "lazy", retryAttempts: 0, ...options,
  });
  const iterate = (query, variables) => client.iterate({ query, variables });
  const count = (request) => requests.filter((made) => made === request).length;
  return { iterate, requests, streams, count, dispose: () => client.dispose() };
}

async function collect(results, field, until = Infinity) {
  const events = [];
  for await (const result of results) {
    events.push(data(result)[field]);
    if (events.length === until) break;
  }
  return events;
}

async function one(results) {
  const all = [];
  for await (const result of results) all.push(data(result));
  assert.equal(all.length, 1);
  return all[0];
}

const ask = (sessionId, clientMessageId = randomUUID()) => ({ input: { sessionId, text: QUESTION, clientMessageId } });

// Everything side by side, on one stream.
const { iterate, requests, count, dispose } = connect();
const other = (await post(url, token, "mutation { newChat { id } }")).newChat.id;
const [events, others, agents, renamed] = await Promise.all([
  collect(iterate(SEND, ask(chat)), "sendMessage"),
  collect(iterate(SEND, ask(other)), "sendMessage"),
  one(iterate("{ agents { name } }")),
  one(iterate(`mutation($id: ID!) { renameChat(sessionId: $id, title: "Prices") { title } }`, { id: chat })),
]);
const message = checkWhole(events);
checkWhole(others);
assert.ok(agents.agents.length > 0);
assert.deepEqual(renamed, { renameChat: { title: "Prices" } });
assert.deepEqual([count("PUT 201"), count("GET 200"), count("POST 202")], [1, 1, 4], requests.join(", "));

// Left after three events, then exactly the rest.
const left = await collect(iterate(SEND, ask(chat)), "sendMessage", 3);
const rest = await collect(iterate(RESUME, { turn: left[0].turnId, after: 3 }), "resumeTurn");
checkWhole([...left, ...rest]);
const { messages } = await one(iterate(MESSAGES, { id: chat }));
assert.equal(messages.edges.length, 2);
if (keeping === "kept") assert.deepEqual([count("PUT 201"), count("GET 200")], [1, 1], requests.join(", "));
assert.deepEqual(requests.filter((made) => !/^(PUT 201|GET 200|POST 202|DELETE 200)$/.test(made)), []);
dispose();

// The stream breaks in the middle: the client reserves another and asks again, which asks once.
const again = connect({ retryAttempts: 5, retry: async () => {} });
const seen = new Map();
for await (const result of again.iterate(SEND, ask(chat))) {
  const event = data(result).sendMessage;
  seen.set(event.seq, event);
  if (seen.size === 2 && again.streams.length === 1) again.streams[0].abort();
}
checkWhole([...seen.values()]);
assert.equal(new Set([...seen.values()].map((event) => event.turnId)).size, 1, "it asked once");
assert.equal(again.count("GET 200"), 2, again.requests.join(", "));

again.dispose();

// Signing out ends it. (With retries, a client that is not lazy would send its request to the ended stream for ever.)
const last = connect();
await one(last.iterate("{ agents { name } }"));
await post(url, token, "mutation { logout }");
await assert.rejects(one(last.iterate("{ agents { name } }")));
last.dispose();
console.log(JSON.stringify({ events: events.length, text: message.text }));
process.exit();
