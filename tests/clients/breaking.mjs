// node breaking.mjs CLIENT URL ARTIFACTS: the examples' `ask`, over connections that break and with a token that has
// to be renewed first, tells every event once.
import assert from "node:assert/strict";
import net from "node:net";
import { createRequire } from "node:module";
import { QUESTION, begin, checkWhole, post } from "./checks.mjs";
import { CLIENTS, eventStreams, sockets } from "./clients.mjs";
import { connect as relay, subscribeWith } from "./examples/relay.mjs";
import { ask } from "./examples/turns.mjs";

const [name, url, artifacts] = process.argv.slice(2);
const CUTS = [1_500, 700, 500];
/** Bytes that the server may send on a connection with the good token, before it is broken. */

let begun = 0;
let broken = 0;
const { token, chat } = await begin(url);
const { hostname, port } = new URL(url);
const proxy = net.createServer((client) => {
  const server = net.connect(Number(port), hostname);
  let left = Infinity;
  client.on("data", (chunk) => {
    if (left === Infinity && current === token) left = CUTS[begun++] ?? Infinity;
    server.write(chunk);
  });
  const sent = (chunk) => {
    left -= chunk.length;
    if (left > 0) return client.write(chunk);
    broken += 1;
    client.resetAndDestroy();
    return server.destroy();
  };
  server.on("data", sent);
  for (const [end, other] of [[client, server], [server, client]]) {
    end.on("error", () => other.destroy());
    end.on("close", () => other.destroy());
  }
});
await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));

let current = "a token that has expired";
let renewed = 0;
const renew = async () => {
  renewed += 1;
  current = token;
};
const there = `http://127.0.0.1:${proxy.address().port}/graphql`;
const streams = { "Relay over graphql-ws": sockets, "Relay over graphql-sse": eventStreams }[name]?.(there, () => current);
const subscribe = streams
  ? subscribeWith(relay(there, () => current, streams), createRequire(`${artifacts}/`)("./deskSendSubscription.graphql.js"))
  : CLIENTS[name](there, () => current).subscribe;

const events = [];
for await (const event of ask(subscribe, { sessionId: chat, text: QUESTION }, renew)) events.push(event);
const message = checkWhole(events);
assert.equal(renewed, 1);
assert.equal(broken, CUTS.length, "the connection broke, and was made again");

const { messages } = await post(url, token, `query($id: ID!) { messages(sessionId: $id) { edges { node { id text } } } }`, { id: chat });
assert.equal(messages.edges.length, 2, "it asked once");
assert.equal(messages.edges[1].node.text, message.text);
console.log(JSON.stringify({ events: events.length, broken, renewed }));
process.exit();
