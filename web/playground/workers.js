// The editor's workers are files of ours, beside this one. build.mjs puts their names in.
globalThis.MonacoEnvironment = {
  getWorker(_, label) {
    return new Worker(new URL(WORKERS[label] ?? WORKERS.editor, import.meta.url));
  },
};
