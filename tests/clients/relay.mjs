// node relay.mjs (ws|sse|multipart) ARTIFACTS URL: Relay's runtime with what relay-compiler made of relay/desk.js.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createFetchMultipartSubscription } from "@apollo/client/utilities/subscriptions/relay";
import relay from "relay-runtime";
import { QUESTION, begin, checkWhole, post } from "./checks.mjs";
import { eventStreams, sockets } from "./clients.mjs";
import { connect, subscribeWith } from "./examples/relay.mjs";
import { errorsOf } from "./examples/turns.mjs";

const { ConnectionHandler, Environment, Network, commitLocalUpdate, commitMutation, createOperationDescriptor, fetchQuery, getRequest } = relay;
const [kind, artifacts, url] = process.argv.slice(2);
const artifact = (name) => createRequire(`${artifacts}/`)(`./${name}.graphql.js`);
const { token, chat } = await begin(url);

function environmentOf(token) {
  if (kind !== "multipart") return connect(url, token, { ws: sockets, sse: eventStreams }[kind](url, token));
  const environment = connect(url, token);
  const stream = createFetchMultipartSubscription(url, { headers: { authorization: `Bearer ${token()}` } });
  const network = Network.create((request, variables) => environment.getNetwork().execute(request, variables, {}), stream);
  return new Environment({ network, store: environment.getStore() });
}

const environment = environmentOf(() => token);
const fetched = (name, variables) => fetchQuery(environment, artifact(name), variables).toPromise();
const mutate = (name, variables) =>
  new Promise((onCompleted, onError) => commitMutation(environment, { mutation: artifact(name), variables, onCompleted, onError }));
const collect = async (name, variables, from = environment) => {
  const events = [];
  for await (const { data } of subscribeWith(from, artifact(name))(null, variables)) events.push(Object.values(data)[0]);
  return events;
};
function local(read) {
  let found;
  commitLocalUpdate(environment, (store) => (found = read(store)));
  return found;
}
const shown = (parent, key) =>
  local((store) => {
    const owner = parent ? store.get(parent) : store.getRoot();
    const connection = ConnectionHandler.getConnection(owner, key);
    const { hasNextPage, hasPreviousPage, startCursor, endCursor } = Object.fromEntries(
      ["hasNextPage", "hasPreviousPage", "startCursor", "endCursor"].map((name) => [name, connection.getLinkedRecord("pageInfo").getValue(name)]),
    );
    const ids = connection.getLinkedRecords("edges").map((edge) => edge.getLinkedRecord("node").getDataID());
    return { ids, hasNextPage, hasPreviousPage, startCursor, endCursor };
  });

// A turn, streamed into the store and stored by the server.
const events = await collect("deskSendSubscription", { input: { sessionId: chat, text: QUESTION } });
const message = checkWhole(events);
assert.equal(local((store) => store.get(message.id).getValue("text")), message.text, "the stream filled the store");
const { node } = await fetched("deskNodeQuery", { id: message.id });
assert.deepEqual([node.__typename, node.text], ["Message", message.text], "what was streamed is what is stored");
const rest = await collect("deskResumeSubscription", { turn: events[0].turnId, after: 3 });
assert.deepEqual(rest.map(({ seq }) => seq), events.slice(3).map(({ seq }) => seq));

// Whatever has an id is found by it.
const { viewer } = await post(url, token, "{ viewer { id } }");
for (const [id, type] of [
  [chat, "ChatSession"],
  [events[0].turnId, "Turn"],
  [message.sources[0].id, "Source"],
  [viewer.id, "User"],
]) {
  assert.equal((await fetched("deskNodeQuery", { id })).node.__typename, type);
}
assert.equal((await fetched("deskNodeQuery", { id: "VHVybjo5OTk5OTk=" })).node, null);

// Pages of sessions grow into one connection; mutations change it.
for (let made = 0; made < 4; made++) await post(url, token, "mutation { newChat { id } }");
const retained = environment.retain(createOperationDescriptor(getRequest(artifact("deskSessionsQuery")), { count: 2, cursor: null }));
await fetched("deskSessionsQuery", { count: 2, cursor: null });
let page = shown(null, "desk_sessions");
assert.deepEqual([page.ids.length, page.hasNextPage], [2, true]);
for (const [length, more] of [[4, true], [5, false]]) {
  await fetched("deskSessionsQuery", { count: 2, cursor: page.endCursor });
  page = shown(null, "desk_sessions");
  assert.deepEqual([page.ids.length, new Set(page.ids).size, page.hasNextPage], [length, length, more]);
}
const { sessions } = await post(url, token, "{ sessions(first: 5) { edges { node { id } } } }");
assert.deepEqual(page.ids, sessions.edges.map(({ node: { id } }) => id), "paged as a whole");
const connections = [ConnectionHandler.getConnectionID("client:root", "desk_sessions")];
const { newChat } = await mutate("deskNewChatMutation", { input: { title: "A new one" }, connections });
assert.deepEqual(shown(null, "desk_sessions").ids, [newChat.id, ...page.ids]);
await mutate("deskDeleteChatMutation", { id: newChat.id });
assert.equal(local((store) => store.get(newChat.id)), null);
retained.dispose();

// A fragment's list is paged backwards by asking for its node again.
await collect("deskSendSubscription", { input: { sessionId: chat, text: QUESTION } });
await fetched("deskSessionQuery", { id: chat });
const latest = shown(chat, "desk_messages");
assert.deepEqual([latest.ids.length, latest.hasPreviousPage], [2, true]);
await fetched("deskMessagesPaginationQuery", { id: chat, count: 2, cursor: latest.startCursor });
const all = shown(chat, "desk_messages");
assert.deepEqual([all.ids.length, all.ids.slice(2), all.hasPreviousPage], [4, latest.ids, false]);

// What goes wrong is told with its code.
const refusal = async (name, variables, from) =>
  errorsOf(await collect(name, variables, from).then(() => [], (thrown) => thrown))[0]?.extensions.code;
assert.equal(await refusal("deskSendSubscription", { input: { sessionId: chat, text: "" } }), "BAD_USER_INPUT");
if (kind !== "ws") { // a socket is not opened with a bad token
  const stranger = environmentOf(() => "a token that nobody gave out");
  assert.equal(await refusal("deskSendSubscription", { input: { sessionId: chat, text: QUESTION } }, stranger), "UNAUTHENTICATED");
}
await assert.rejects(fetchQuery(environmentOf(() => "nobody's"), artifact("deskSessionsQuery"), { count: 2 }).toPromise(), (thrown) => {
  return thrown.source.errors[0].extensions.code === "UNAUTHENTICATED";
});
console.log(JSON.stringify({ events: events.length, text: message.text, sources: message.sources.length }));
process.exit();
