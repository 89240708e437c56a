/** `start(sink)` returns a subscription; what the sink is told comes out of a `for await`, which unsubscribes at its end. */
export async function* iterated(start) {
  const told = [];
  let wake;
  const tell = (entry) => {
    told.push(entry);
    wake?.();
  };
  const subscription = start({
    next: (value) => tell({ value }),
    error: (error) => tell({ error }),
    complete: () => tell({ complete: true }),
  });
  try {
    for (;;) {
      while (told.length === 0) await new Promise((resolve) => (wake = resolve));
      const { value, error, complete } = told.shift();
      if (error) throw error;
      if (complete) return;
      yield value;
    }
  } finally {
    subscription.unsubscribe();
  }
}
