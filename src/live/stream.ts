// An async iterator that is pushed into: what the readers of a subscription iterate over, some values at a time. It holds at most
// `limit` values for a slow reader; `full` says what happens then.

export type Stream<T> = AsyncIterableIterator<T[]> & {
  push: (values: T[]) => void;
  /** Ends it, with an error or without; values that wait are still read. */
  end: (error?: Error) => void;
};

type Options<T> = {
  limit: number;
  full: (stream: Stream<T>, waiting: T[]) => void;
  ended: (stream: Stream<T>) => void;
};

/** Values that a reader gets at once: enough for what one costs to count little, few enough to be worked on in milliseconds. */
export const AT_ONCE = 250;

export function stream<T>({ limit, full, ended }: Options<T>): Stream<T> {
  const waiting: T[] = [];
  const readers: PromiseWithResolvers<IteratorResult<T[]>>[] = [];
  const done = { done: true, value: undefined } as const;
  let failure: Error | undefined;
  let isOver = false;
  const some = () => ({ done: false, value: waiting.splice(0, AT_ONCE) }) as const;

  const self: Stream<T> = {
    [Symbol.asyncIterator]: () => self,
    async next() {
      if (waiting.length > 0) return some();
      if (failure) {
        const error = failure;
        failure = undefined;
        throw error;
      }
      if (isOver) return done;
      const reader = Promise.withResolvers<IteratorResult<T[]>>();
      readers.push(reader);
      return reader.promise;
    },
    async return() {
      waiting.length = 0;
      self.end();
      return done;
    },
    async throw(error) {
      waiting.length = 0;
      self.end();
      throw error;
    },
    push(values) {
      if (isOver) return;
      for (const value of values) waiting.push(value); // as arguments, 100 000 of them do not fit on the stack
      while (readers.length > 0 && waiting.length > 0) readers.shift()!.resolve(some());
      if (waiting.length > limit) full(self, waiting);
    },
    end(error) {
      if (isOver) return;
      isOver = true;
      const [first, ...rest] = readers.splice(0);
      if (error && first) first.reject(error);
      else {
        failure = error;
        first?.resolve(done);
      }
      for (const reader of rest) reader.resolve(done);
      ended(self);
    },
  };
  return self;
}
