// node urql-forms.mjs URL: urql names `text/event-stream` with every request, and is answered as JSON where it asks for
// no stream; it may ask queries with GET.
import assert from "node:assert/strict";
import { QUESTION, SEND, begin, data } from "./checks.mjs";
import { connect } from "./clients.mjs";

const [url] = process.argv.slice(2);
const { token, chat } = await begin(url);
const seen = [];
const watched = async (...request) => {
  const response = await fetch(...request);
  const { method, headers } = request[1];
  seen.push({ method, accepts: headers.accept, status: response.status, form: response.headers.get("content-type") });
  return response;
};
const JSON_FORM = "application/graphql-response+json; charset=utf-8";
const QUERY = "query($id: ID!) { session(id: $id) { title } viewer { username } }";
const RENAME = "mutation($id: ID!, $title: String!) { renameChat(sessionId: $id, title: $title) { title } }";

for (const [preferGetMethod, method] of [[false, "POST"], [true, "GET"], ["force", "GET"]]) {
  seen.length = 0;
  const client = connect("urql over its fetch", url, token, { fetch: watched, preferGetMethod });
  assert.ok(data(await client.one(QUERY, { id: chat })).session);
  assert.equal(data(await client.one(RENAME, { id: chat, title: method })).renameChat.title, method);
  for (const { accepts } of seen) assert.match(accepts, /text\/event-stream/);
  assert.deepEqual(
    seen.map(({ accepts, ...told }) => told),
    [{ method, status: 200, form: JSON_FORM }, { method: "POST", status: 200, form: JSON_FORM }],
  );
  seen.length = 0;
  for await (const result of client.iterate(SEND, { input: { sessionId: chat, text: QUESTION } })) data(result);
  assert.deepEqual(seen.map(({ method, form }) => [method, form]), [["POST", "text/event-stream; charset=utf-8"]]);
}
console.log(JSON.stringify({ ok: true }));
process.exit();
