import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { fill } from "./Prefill.jsx";
import { examples } from "./examples.js";

/** A list of what can be asked for. Choosing one opens it in a tab of its own, with the ids that it needs. */
export const EXAMPLES_PLUGIN = { title: "Examples", icon: Icon, content: Examples };

const sections = [...new Set(examples.map(({ section }) => section))];

function Examples() {
  const { addTab, changeTab } = useGraphiQLActions();
  const { tabs, activeTabIndex, queryEditor, variableEditor } = useGraphiQL((state) => ({
    tabs: state.tabs,
    activeTabIndex: state.activeTabIndex,
    queryEditor: state.queryEditor,
    variableEditor: state.variableEditor,
  }));

  async function open({ name, query, variables }) {
    const index = tabs.findIndex(({ operationName, title }) => (operationName ?? title) === name);
    if (index >= 0) {
      if (index !== activeTabIndex) changeTab(index);
    } else {
      if (queryEditor.getValue().trim()) addTab();
      queryEditor.setValue(query);
      variableEditor.setValue(Object.keys(variables).length ? JSON.stringify(variables, null, 2) : "");
    }
    await fill(variableEditor);
  }

  return (
    <section className="examples" aria-label="Examples">
      <div className="graphiql-doc-explorer-title">Examples</div>
      {sections.map((section) => (
        <section key={section}>
          <h2>{section}</h2>
          <ul>
            {examples
              .filter((example) => example.section === section)
              .map((example) => (
                <li key={example.name}>
                  <button type="button" onClick={() => open(example)}>
                    <span className="name">{example.name}</span> <span className="kind">{example.kind}</span>
                    <span className="about">{example.about}</span>
                  </button>
                </li>
              ))}
          </ul>
        </section>
      ))}
    </section>
  );
}

function Icon(props) {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" {...props}>
      <path d="M4 6h.01M4 12h.01M4 18h.01M9 6h11M9 12h11M9 18h11" />
    </svg>
  );
}
