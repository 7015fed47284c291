// Of questions that replace each other, only the newest is answered: one that comes ends those before it,
// so that a slow answer never takes the place of a later one.

/** One thing that is asked for again and again. */
export function newest() {
  let abort = new AbortController();
  return {
    /** Ends the question before; the signal of the new one, which is aborted as soon as there is another. */
    next() {
      abort.abort();
      abort = new AbortController();
      return abort.signal;
    },
    /** Ends what was asked last. */
    end() {
      abort.abort();
    },
  };
}
