import { getOperationAST, parse } from "graphql";
import { createClient } from "graphql-sse";
import { endpoint } from "./desk.js";
import { adopt, forget, fresh } from "./login.js";
import { leave, take } from "./turn.js";

/** GraphiQL's fetcher: queries and mutations by POST, subscriptions by server-sent events, with the same headers. */
export async function fetcher({ operationName, ...document }, { headers: written } = {}) {
  const headers = await withFreshToken(written ?? {});
  const chosen = operationOf(document.query, operationName);
  const params = { ...document, operationName: chosen?.name?.value };
  return chosen?.operation === "subscription" ? follow(params, headers) : send(params, headers);
}

/** The operation that runs. What GraphiQL names may be that of the tab before: it reads a document a moment after it is
 * opened. The desk says what is wrong with a document that cannot be read. */
function operationOf(query, name) {
  try {
    const document = parse(query);
    return getOperationAST(document, name) ?? getOperationAST(document);
  } catch {
    return null;
  }
}

async function send(params, headers) {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: {
      accept: "application/graphql-response+json, application/json;q=0.9",
      "content-type": "application/json",
      ...headers,
    },
    body: JSON.stringify(params),
  });
  const answer = await response.json();
  for (const value of Object.values(answer.data ?? {})) if (value?.accessToken) adopt(value);
  if (answer.data?.logout === true) forget();
  return answer;
}

/** An observable: leaving it ends the connection at once. It never asks twice by itself. */
function follow(params, headers) {
  const client = createClient({ url: endpoint, headers, retryAttempts: 0 });
  return {
    subscribe({ next, error, complete }) {
      const end = client.subscribe(params, {
        next(result) {
          take(result);
          next(result);
        },
        async error(failure) {
          const answer = await failure.response?.json().catch(() => null);
          leave(answer?.errors?.[0]?.message ?? failure.message);
          if (answer) next(answer);
          answer ? complete() : error(failure);
        },
        complete() {
          leave();
          complete();
        },
      });
      return {
        unsubscribe() {
          end();
          leave();
        },
      };
    },
  };
}

async function withFreshToken(headers) {
  const pairs = Object.entries(headers).map(async ([name, value]) => [
    name,
    name.toLowerCase() === "authorization" ? await fresh(value) : value,
  ]);
  return Object.fromEntries(await Promise.all(pairs));
}
