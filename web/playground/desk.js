/** This page's own address, without its query: where GraphQL is answered. */
export const endpoint = location.origin + location.pathname;

/** What the desk said no to, in its words. */
export class Refusal extends Error {}

/** One operation's data. Throws a Refusal; and a TypeError where the desk cannot be reached. */
export async function ask(query, variables, authorization) {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: {
      accept: "application/json",
      "content-type": "application/json",
      ...(authorization && { authorization }),
    },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Refusal(errors[0].message);
  return data;
}
