// node apollo-persisted.mjs URL: Apollo Client's persisted queries; a document is sent once, then its hash, with GET.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { QUESTION, SEND, begin, checkWhole, data } from "./checks.mjs";
import { connect } from "./clients.mjs";

const [url] = process.argv.slice(2);
const { token, chat } = await begin(url);
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const seen = [];
const watched = async (address, options) => {
  const response = await fetch(address, options);
  const { searchParams } = new URL(address);
  const sent = options.body ? JSON.parse(options.body) : Object.fromEntries(searchParams);
  const form = response.headers.get("content-type");
  const told = form.startsWith("multipart") ? {} : await response.clone().json();
  seen.push({ method: options.method, document: Boolean(sent.query), code: told.errors?.[0].extensions.code });
  return response;
};
const made = () =>
  connect("Apollo over multipart", url, token, {
    fetch: watched,
    before: [new PersistedQueryLink({ sha256, useGETForHashedQueries: true })],
  });

// A document that no other run has sent.
const QUERY = `query Viewer${Date.now()}($id: ID!) { viewer { id username } session(id: $id) { id title } }`;
for (const expected of [
  [
    { method: "GET", document: false, code: "PERSISTED_QUERY_NOT_FOUND" },
    { method: "POST", document: true, code: undefined },
  ],
  [{ method: "GET", document: false, code: undefined }],
]) {
  seen.length = 0;
  const client = made(); // which remembers nothing
  const told = data(await client.one(QUERY, { id: chat }));
  assert.equal(told.session.id, chat);
  assert.deepEqual(seen, expected);
  await client.close();
}

for (const times of [2, 1]) {
  seen.length = 0;
  const client = made();
  const events = [];
  const document = SEND.replace("Send", `Send${token.slice(-8).replace(/\W/g, "_")}`);
  for await (const result of client.iterate(document, { input: { sessionId: chat, text: QUESTION } })) {
    events.push(data(result).sendMessage);
  }
  checkWhole(events);
  assert.equal(seen.length, times, JSON.stringify(seen));
  assert.deepEqual(seen.map(({ document }) => document), times === 2 ? [false, true] : [false]);
  await client.close();
}
console.log(JSON.stringify({ ok: true }));
