import relay from "relay-runtime";
import { iterated } from "./iterated.mjs";

const { Environment, Network, Observable, RecordSource, Store, requestSubscription } = relay;

/** `streams`, a client of graphql-ws or graphql-sse, carries the subscriptions. */
export function connect(url, token, streams) {
  const headers = () => ({ "content-type": "application/json", ...(token() && { authorization: `Bearer ${token()}` }) });
  const one = async ({ text }, variables) => {
    const response = await fetch(url, { method: "POST", headers: headers(), body: JSON.stringify({ query: text, variables }) });
    return response.json();
  };
  const many = ({ text }, variables) =>
    Observable.create((sink) => streams.subscribe({ query: text, variables }, sink));
  return new Environment({ network: Network.create(one, many), store: new Store(new RecordSource()) });
}

/** For `ask`: `subscription` is what relay-compiler made of its document. */
export function subscribeWith(environment, subscription) {
  return (_, variables) =>
    iterated(({ next, error, complete }) => {
      const config = { subscription, variables, onNext: (data) => next({ data }), onError: error, onCompleted: complete };
      const { dispose } = requestSubscription(environment, config);
      return { unsubscribe: dispose };
    });
}
