// node apollo-cache.mjs URL SCHEMA: Apollo Client's cache knows what was streamed, by its id.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gql } from "@apollo/client/core";
import { buildSchema, isAbstractType } from "graphql";
import { EVENT, QUESTION, begin, checkWhole, data } from "./checks.mjs";
import { connect } from "./clients.mjs";
import { possibleTypes } from "./examples/apollo.mjs";

const [url, file] = process.argv.slice(2);
const schema = buildSchema(readFileSync(file, "utf8"));
const abstract = Object.values(schema.getTypeMap()).filter((type) => isAbstractType(type) && !type.name.startsWith("__"));
const names = (types) => types.map(({ name }) => name).sort();
assert.deepEqual(
  Object.fromEntries(Object.entries(possibleTypes).map(([name, types]) => [name, [...types].sort()])),
  Object.fromEntries(abstract.map((type) => [type.name, names(schema.getPossibleTypes(type))])),
  "the example names the types that there are",
);

const { token, chat } = await begin(url);
const requests = [];
const watched = (...request) => (requests.push(request), fetch(...request));
const { client, iterate, close } = connect("Apollo over multipart", url, token, { fetch: watched });

const PARTS = `fragment Answer on Message { id role text rating sources { id ordinal title } }`;
const SEND = `subscription($input: SendMessageInput!) { sendMessage(input: $input) { ${EVENT}
  ... on TurnCompleted { message { ...Answer } } } } ${PARTS}`;
const events = [];
for await (const result of iterate(SEND, { input: { sessionId: chat, text: QUESTION } })) events.push(data(result).sendMessage);
const message = checkWhole(events);
assert.equal(requests.length, 1);

const id = client.cache.identify({ __typename: "Message", id: message.id });
const cached = () => client.cache.readFragment({ id, fragment: gql(PARTS) });
assert.equal(cached().text, message.text, "the stream filled the cache");

const BY_ID = gql(`query($id: ID!) { node(id: $id) { id ...Answer } } ${PARTS}`);
const { data: found } = await client.query({ query: BY_ID, variables: { id: message.id } });
assert.equal(found.node.text, message.text, "a fragment on an interface matches");
assert.equal(requests.length, 2);
const RATE = gql(`mutation($id: ID!) { rateMessage(messageId: $id, rating: UP) { id rating } }`);
await client.mutate({ mutation: RATE, variables: { id: message.id } });
assert.equal(cached().rating, "UP", "what a mutation returns is merged by id");
const again = await client.query({ query: BY_ID, variables: { id: message.id } });
assert.equal(again.data.node.rating, "UP");
assert.equal(requests.length, 3, "what is in the cache is not asked again");
assert.equal(Object.keys(client.cache.extract()).filter((key) => key === id).length, 1);
await close();
console.log(JSON.stringify({ ok: true }));
