// node build.mjs: bundles the playground into dist/, with hashed names: playground.html and assets/.
// The server fills in what differs from request to request: {{nonce}} and {{introspection}}.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const dist = join(here, "dist");
const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  target: "es2022",
  outdir: join(dist, "assets"),
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  legalComments: "linked",
  metafile: true,
  logLevel: "warning",
  define: { "process.env.NODE_ENV": '"production"' },
  loader: { ".ttf": "file", ".graphql": "text" },
};

/** The file that an entry point became, and its style sheet. */
function outputOf({ metafile }, entry) {
  const [name, { cssBundle }] = Object.entries(metafile.outputs).find(([, output]) => output.entryPoint === entry);
  return { script: basename(name), style: cssBundle && basename(cssBundle) };
}

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });

const entries = {
  editor: "node_modules/monaco-editor/esm/vs/editor/editor.worker.js",
  graphql: "node_modules/monaco-graphql/esm/graphql.worker.js",
  json: "node_modules/monaco-editor/esm/vs/language/json/json.worker.js",
};
const built = await build({ ...common, entryPoints: Object.values(entries), format: "iife" });
const workers = Object.fromEntries(
  Object.entries(entries).map(([label, entry]) => [label, outputOf(built, entry).script]),
);

const main = "playground/main.jsx";
const page = outputOf(
  await build({
    ...common,
    entryPoints: [main],
    format: "esm",
    splitting: true,
    jsx: "automatic",
    define: { ...common.define, WORKERS: JSON.stringify(workers) },
  }),
  main,
);

const template = await readFile(join(here, "playground", "page.html"), "utf-8");
await writeFile(
  join(dist, "playground.html"),
  template.replaceAll("{{script}}", page.script).replaceAll("{{style}}", page.style),
);
