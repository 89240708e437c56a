// examples.graphql, taken apart: one operation each, with the comments above it and the variables that it declares.
import { parse, valueFromASTUntyped } from "graphql";
import { ask } from "./desk.js";
import { bearer, spendable } from "./login.js";
import source from "./examples.graphql";

/** `{section, name, kind, about, query, variables}`, in the order of the file. */
export const examples = [];

let section = "";
for (const definition of parse(source).definitions) {
  const comments = commentsAbove(definition.loc.startToken);
  section = comments.find((line) => line.startsWith("#"))?.slice(1).trim() ?? section;
  examples.push({
    section,
    name: definition.name.value,
    kind: definition.operation,
    about: comments.filter((line) => !line.startsWith("#")).join(" ").trim(),
    query: source.slice(definition.loc.start, definition.loc.end),
    variables: Object.fromEntries(definition.variableDefinitions.filter(isShown).map(nameAndDefault)),
  });
}

function commentsAbove(token) {
  const lines = [];
  for (let above = token.prev; above?.kind === "Comment"; above = above.prev) lines.unshift(above.value);
  return lines;
}

function isShown({ type, defaultValue }) {
  return defaultValue || type.kind === "NonNullType";
}

function nameAndDefault({ variable, defaultValue }) {
  return [variable.name.value, defaultValue ? valueFromASTUntyped(defaultValue) : ""];
}

/** The variables with what is empty filled in, as far as the viewer has something that fits: the latest chat, its last
 * message and that one's turn. Who has no chat gets one. */
export async function filled(variables) {
  const empty = Object.keys(variables).filter((name) => variables[name] === "");
  if (!bearer() || !empty.length) return variables;
  const known = empty.some((name) => LATEST.includes(name)) ? await latest() : {};
  known.refreshToken = spendable();
  const found = empty.filter((name) => known[name]).map((name) => [name, known[name]]);
  return { ...variables, ...Object.fromEntries(found) };
}

const LATEST = ["sessionId", "messageId", "turnId", "nodeId"];
const LATEST_CHAT = `{
  sessions(first: 1) { edges { node { id messages(last: 1) { edges { node { id turn { id } } } } } } }
}`;

async function latest() {
  const { sessions } = await ask(LATEST_CHAT, {}, bearer());
  const chat = sessions.edges[0]?.node ?? (await ask("mutation { newChat { id } }", {}, bearer())).newChat;
  const message = chat.messages?.edges[0]?.node;
  return { sessionId: chat.id, nodeId: message?.id ?? chat.id, messageId: message?.id, turnId: message?.turn.id };
}
