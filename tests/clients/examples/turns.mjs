// Streams one answer over any client. `subscribe(query, variables)` iterates over results, as the other files give it.
export const SEND = `subscription Send($input: SendMessageInput!) {
  sendMessage(input: $input) {
    __typename seq turnId
    ... on SourcesFound { sources { id ordinal title excerpt } }
    ... on AnswerDelta { text }
    ... on TurnCompleted { message { id text sources { id ordinal title url spans { start end } } } }
    ... on TurnEnded { status error { code message retryable } message { id text } }
  }
}`;
const ATTEMPTS = 6;

/** Yields each event once. A connection that breaks is made again, and the turn goes on after the last event: the
 * same `clientMessageId` never asks twice. `renew` gets a new access token. */
export async function* ask(subscribe, message, renew) {
  const clientMessageId = crypto.randomUUID();
  let after = 0;
  for (let attempt = 1; ; attempt++) {
    try {
      for await (const result of subscribe(SEND, { input: { clientMessageId, ...message, after } })) {
        if (result.error || result.errors) throw result.error ?? result;
        const event = result.data.sendMessage;
        if (event.seq <= after) continue; // urql tells the last result twice
        after = event.seq;
        attempt = 1;
        yield event;
        if (["TurnCompleted", "TurnEnded"].includes(event.__typename)) return;
      }
    } catch (failure) {
      const [error] = errorsOf(failure);
      const signedOut = error?.extensions.code === "UNAUTHENTICATED" || closeCode(failure) === 4403;
      const worthwhile = signedOut ? renew : !error || error.extensions.retryable;
      if (!worthwhile || attempt === ATTEMPTS) throw failure;
      if (signedOut) await renew();
    }
    await new Promise((resolve) => setTimeout(resolve, 50 * 2 ** attempt));
  }
}

/** GraphQL's errors in a result, or in what one of the clients throws; none for a lost connection. */
export function errorsOf(told) {
  const of = told?.error ?? told?.source ?? told;
  return [of, of?.errors, of?.graphQLErrors].find(Array.isArray) ?? [];
}

/** Of a WebSocket that was closed, which Apollo Client tells in words. */
export function closeCode(failure) {
  return failure.code ?? failure.networkError?.code ?? Number(/closed with event (\d+)/.exec(failure.message)?.[1]);
}
