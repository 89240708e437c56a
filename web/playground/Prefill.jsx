import { useGraphiQL } from "@graphiql/react";
import { useEffect } from "react";
import { filled } from "./examples.js";
import { bearer, isOurs, login } from "./login.js";

/** Keeps this page's token in the headers editor, and fills in the open tab's ids after signing in. */
export function Prefill() {
  const viewer = login.use();
  const { headerEditor, variableEditor, tabs, activeTabIndex } = useGraphiQL((state) => ({
    headerEditor: state.headerEditor,
    variableEditor: state.variableEditor,
    tabs: state.tabs,
    activeTabIndex: state.activeTabIndex,
  }));
  useEffect(() => {
    // GraphiQL shows the first tab's query, but not its variables.
    const { variables } = tabs[activeTabIndex];
    if (variables && variableEditor?.getValue() === "") variableEditor.setValue(variables);
  }, [variableEditor]);
  useEffect(() => {
    if (headerEditor) writeToken(headerEditor);
  }, [viewer, headerEditor, activeTabIndex]);
  useEffect(() => {
    if (viewer?.username && variableEditor) fill(variableEditor);
  }, [viewer?.username, variableEditor]);
  return null;
}

/** A token that somebody else wrote is left alone, and so is what is not JSON. */
function writeToken(editor) {
  const headers = parsed(editor.getValue() || "{}");
  if (!headers) return;
  const name = Object.keys(headers).find((key) => key.toLowerCase() === "authorization") ?? "Authorization";
  if (headers[name] && !isOurs(headers[name])) return;
  const { [name]: old, ...others } = headers;
  const written = bearer() ? { ...headers, [name]: bearer() } : others;
  if (old !== written[name]) editor.setValue(Object.keys(written).length ? JSON.stringify(written, null, 2) : "");
}

/** Writes ids into an editor's empty variables, unless it was written to meanwhile. */
export async function fill(editor) {
  const before = editor.getValue();
  const variables = parsed(before);
  if (!variables) return;
  const after = await filled(variables).catch(() => variables);
  if (after !== variables && editor.getValue() === before) editor.setValue(JSON.stringify(after, null, 2));
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
