// The turn that was followed last, put together from its events: what a chat window would show.
import { ask } from "./desk.js";
import { bearer } from "./login.js";
import { createStore } from "./store.js";

const EMPTY = {
  id: null,
  question: "",
  routes: [],
  sources: [],
  text: "",
  error: null,
  status: "RUNNING",
  events: [],
};
const SHOWN = 48; // characters of a delta in the list of events

/** The turn, or null before the first event. */
export const turn = createStore(null);

/** Takes one result of a subscription. What is no event of a turn is left alone. */
export function take({ data, errors }) {
  if (errors && turn.get()) turn.set({ ...turn.get(), error: errors[0].message });
  const event = Object.values(data ?? {})[0];
  if (typeof event?.seq !== "number") return;
  const known = turn.get();
  const before = known && known.id === event.turnId && known.events.at(-1)?.seq < event.seq ? known : EMPTY;
  const named = { ...event, __typename: event.__typename ?? guessed(event) };
  const told = after({ ...before, status: "RUNNING", error: null }, named);
  turn.set({ ...told, id: event.turnId, events: [...before.events, entry(named)] });
}

/** The connection to a running turn is gone: it goes on, but is not heard of any more. */
export function leave(why = "Not followed any more: Resume attaches to it again.") {
  if (turn.get()?.status === "RUNNING") turn.set({ ...turn.get(), status: "LEFT", error: why });
}

export async function stop() {
  const query = "mutation($id: ID!) { stopTurn(turnId: $id) { status } }";
  await ask(query, { id: turn.get().id }, bearer());
}

function after(before, event) {
  switch (event.__typename) {
    case "TurnStarted":
      return { ...before, question: event.userMessage?.text ?? "" };
    case "RouteChosen":
      return { ...before, routes: event.routes ?? [] };
    case "SourcesFound":
      return { ...before, sources: event.sources ?? [] };
    case "AnswerDelta":
      return { ...before, text: before.text + (event.text ?? "") };
    case "TurnCompleted":
      return { ...before, ...ended(before, event), status: "COMPLETED" };
    case "TurnEnded":
      return { ...before, ...ended(before, event), status: event.status ?? "ENDED", error: event.error?.message };
    default:
      return before;
  }
}

function ended(before, { message }) {
  return { text: message?.text ?? before.text, sources: message?.sources ?? before.sources };
}

function guessed(event) {
  if ("userMessage" in event) return "TurnStarted";
  if ("routes" in event || "standaloneQuestion" in event) return "RouteChosen";
  if ("sources" in event) return "SourcesFound";
  if ("text" in event) return "AnswerDelta";
  if ("status" in event || "error" in event) return "TurnEnded";
  return "message" in event ? "TurnCompleted" : "TurnEvent";
}

function entry(event) {
  const text = event.text ?? event.routes?.map(({ agent }) => agent?.title ?? agent?.name).join(", ") ?? "";
  return {
    seq: event.seq,
    type: event.__typename,
    text: text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text,
  };
}
