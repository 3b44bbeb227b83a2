// A value that can be watched: the page's state consists of a few of these.

/** A watched value. Listeners get it immediately when they begin, and then whenever it changes. */
export function store(value) {
  const listeners = new Set();
  return {
    get value() {
      return value;
    },
    set(next) {
      if (Object.is(next, value)) return;
      const before = value;
      value = next;
      for (const listener of [...listeners]) listener(value, before);
    },
    /**
     * Changes some members of a value that is an object; nobody is told if none of them differs
     * from before.
     */
    patch(members) {
      if (Object.entries(members).some(([name, member]) => !Object.is(value[name], member)))
        this.set({ ...value, ...members });
    },
    on(listener) {
      listeners.add(listener);
      listener(value, value);
      return () => listeners.delete(listener);
    },
  };
}

/** A set of listeners for things that happen, not for a state. */
export function signal() {
  const listeners = new Set();
  return {
    on(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    emit(detail) {
      for (const listener of [...listeners]) listener(detail);
    },
  };
}

/** Collects what has to be undone; `undo()` does so, last first. */
export function undoing() {
  const steps = [];
  return {
    add(...more) {
      steps.push(...more);
    },
    /** Listens on an EventTarget until undone. */
    listen(target, type, listener, options) {
      target.addEventListener(type, listener, options);
      steps.push(() => target.removeEventListener(type, listener, options));
    },
    undo() {
      while (steps.length) steps.pop()();
    },
  };
}
