// node audits.mjs URL: every audit of graphql-http against a GraphQL server, one object {id, name, status, reason} each.
import { serverAudits } from "graphql-http";

const [url] = process.argv.slice(2);

const told = [];
for (const { id, name, fn } of serverAudits({ url })) {
  const { status, reason = null, response } = await fn();
  const answered = status === "ok" ? null : `${response.status} ${response.headers.get("content-type")}`;
  told.push({ id, name, status, reason, answered });
}
console.log(JSON.stringify(told));
