import { useSyncExternalStore } from "react";

/** A value that components follow with `use`, and other code reads and replaces with `get` and `set`. */
export function createStore(initial) {
  let value = initial;
  const listeners = new Set();
  const subscribe = (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const get = () => value;
  const set = (next) => {
    value = next;
    for (const listener of listeners) listener();
  };
  return { get, set, use: () => useSyncExternalStore(subscribe, get) };
}
