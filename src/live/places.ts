// How many live connections there are: in this process, and of one client.

export type Places = {
  /** A place, or a sentence that says why there is none. The function gives it back. */
  take: (client: string) => (() => void) | string;
};

export function places(ofProcess: number, ofClient: number): Places {
  const taken = new Map<string, number>();
  let all = 0;
  return {
    take(client) {
      const own = taken.get(client) ?? 0;
      if (all >= ofProcess) return `This server has ${ofProcess} live connections already: try again later`;
      if (own >= ofClient) return `You have ${ofClient} live connections already: close some, or share one`;
      all++;
      taken.set(client, own + 1);
      return () => {
        all--;
        const left = taken.get(client)! - 1;
        if (left > 0) taken.set(client, left);
        else taken.delete(client);
      };
    },
  };
}
