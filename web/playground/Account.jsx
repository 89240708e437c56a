import { Button } from "@graphiql/react";
import { useRef, useState } from "react";
import { Refusal } from "./desk.js";
import { farewell, login, signIn, signOut, signUp } from "./login.js";

/** The bar above GraphiQL: who is signed in, and the form for it. */
export function Account() {
  const viewer = login.use();
  const why = farewell.use();
  const dialog = useRef(null);
  return (
    <header className="bar">
      <h1>
        Answerdesk <small>GraphQL playground</small>
      </h1>
      <p role="status">{viewer ? <>Signed in as <strong>{viewer.username}</strong></> : (why ?? "Not signed in")}</p>
      {viewer ? (
        <Button type="button" onClick={signOut}>Sign out</Button>
      ) : (
        <Button type="button" className="primary" onClick={() => dialog.current.showModal()}>Sign in</Button>
      )}
      <dialog ref={dialog} className="sign-in" aria-labelledby="sign-in-title">
        <Form key={String(viewer)} onDone={() => dialog.current.close()} />
      </dialog>
    </header>
  );
}

function Form({ onDone }) {
  const [isNew, setNew] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const title = isNew ? "Create an account" : "Sign in";

  async function send(event) {
    event.preventDefault();
    const input = Object.fromEntries(new FormData(event.currentTarget));
    setBusy(true);
    setProblem(null);
    try {
      await (isNew ? signUp(input) : signIn(input));
      onDone();
    } catch (failure) {
      setProblem(failure instanceof Refusal ? failure.message : "The desk cannot be reached.");
    } finally {
      setBusy(false);
    }
  }

  return (
    <form onSubmit={send}>
      <h2 id="sign-in-title">{title}</h2>
      <label>
        Username
        <input name="username" autoComplete="username" autoFocus required />
      </label>
      {isNew && (
        <label>
          Email
          <input name="email" type="email" autoComplete="email" required />
        </label>
      )}
      <label>
        Password
        <input name="password" type="password" autoComplete={isNew ? "new-password" : "current-password"} required />
      </label>
      <p role="alert">{problem}</p>
      <div className="choices">
        <Button type="submit" className="primary" disabled={busy}>{title}</Button>
        <Button type="button" onClick={onDone}>Cancel</Button>
      </div>
      <button type="button" className="link" onClick={() => setNew(!isNew)}>
        {isNew ? "I have an account" : "I have no account yet"}
      </button>
    </form>
  );
}
