import { Button } from "@graphiql/react";
import { stop, turn } from "./turn.js";

const STATUS = { RUNNING: "answering …", COMPLETED: "answered", STOPPED: "stopped", LEFT: "left" };
const MARKER = /(\[\d+\])/;

/** What the followed turn has written so far, as a person would read it, and its events below. */
export function Answer() {
  const followed = turn.use();
  if (!followed) return <p className="hint">Sign in, choose an example, run it. Answers are shown here while they are written.</p>;
  const { status, question, routes, text, sources, error, events } = followed;
  return (
    <section className="answer" aria-label="Answer">
      <header>
        <h2>{question || "Answer"}</h2>
        <span className="status" data-status={status}>{STATUS[status] ?? status.toLowerCase()}</span>
        {status === "RUNNING" && (
          <Button type="button" onClick={() => stop().catch(() => {})}>Stop</Button>
        )}
      </header>
      {routes.length > 0 && <p className="routes">{routes.map(route).join(" · ")}</p>}
      <p className="text" aria-live="polite" aria-busy={status === "RUNNING"}>
        {text.split(MARKER).map((part, place) => marker(part, place, sources))}
      </p>
      {error && <p role="alert">{error}</p>}
      {sources.length > 0 && (
        <ol className="sources">
          {sources.map(({ ordinal, title, url }) => (
            <li key={ordinal} id={`source-${ordinal}`} value={ordinal}>
              {isLink(url) ? <a href={url} target="_blank" rel="noreferrer">{title}</a> : title}
            </li>
          ))}
        </ol>
      )}
      <details>
        <summary>{events.length} events</summary>
        <ol className="events">
          {events.map((event) => (
            <li key={event.seq} value={event.seq}>
              <code>{event.type}</code> <q hidden={!event.text}>{event.text}</q>
            </li>
          ))}
        </ol>
      </details>
    </section>
  );
}

function route({ agent, confidence }) {
  const sure = typeof confidence === "number" ? ` (${Math.round(confidence * 100)} %)` : "";
  return `${agent?.title ?? agent?.name ?? "an agent"}${sure}`;
}

function marker(part, place, sources) {
  const source = MARKER.test(part) && sources.find(({ ordinal }) => `[${ordinal}]` === part);
  return source ? <a key={place} href={`#source-${source.ordinal}`} title={source.title}>{part}</a> : part;
}

function isLink(url) {
  return /^https?:/.test(url ?? "");
}
