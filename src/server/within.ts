/** The promise, or an error when it takes longer than that. What it waits for goes on; nobody looks at it any more. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
  });
  promise.catch(() => {}); // when it fails after its time
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
