import "./nonce.js";
import "./workers.js";
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "graphiql/graphiql.css";
import "./playground.css";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";
import { Account } from "./Account.jsx";
import { Answer } from "./Answer.jsx";
import { EXAMPLES_PLUGIN } from "./Examples.jsx";
import { Prefill } from "./Prefill.jsx";
import { FollowTheme } from "./Theme.jsx";
import { examples } from "./examples.js";
import { fetcher } from "./fetcher.js";

const PLUGINS = [EXAMPLES_PLUGIN, HISTORY_PLUGIN];
const WIDE = window.matchMedia("(min-width: 60rem)").matches;
const HIDDEN = document.documentElement.dataset.introspection === "off";
const FIRST = examples.slice(0, 1).map(({ query, variables }) => ({
  query,
  variables: JSON.stringify(variables, null, 2),
}));

function Page() {
  return (
    <div className="graphiql-container playground">
      <Account />
      {HIDDEN && (
        <p className="notice" role="status">
          This server does not tell its schema (<code>GRAPHQL_INTROSPECTION</code>), so there are no docs and no completion
          here. Operations run all the same.
        </p>
      )}
      <main>
        {/* Everything that is typed here ends with the tab: passwords and tokens are among it. */}
        <GraphiQL
          fetcher={fetcher}
          schema={HIDDEN ? null : undefined}
          storage={sessionStorage}
          shouldPersistHeaders={false}
          defaultTabs={FIRST}
          defaultEditorToolsVisibility="variables"
          plugins={PLUGINS}
          visiblePlugin={WIDE ? EXAMPLES_PLUGIN.title : undefined}
        >
          <GraphiQL.Logo>
            <></>
          </GraphiQL.Logo>
          <GraphiQL.Footer>
            <Prefill />
            <FollowTheme />
            <Answer />
          </GraphiQL.Footer>
        </GraphiQL>
      </main>
    </div>
  );
}

createRoot(document.getElementById("page")).render(<Page />);
