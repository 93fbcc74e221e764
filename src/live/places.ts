// How many live connections there are: in this process, and of one client.

export type Transport = "websocket" | "sse";
export type Places = {
  /** A place, or a sentence that says why there is none. The function gives it back. */
  take: (transport: Transport, client: string) => (() => void) | string;
  taken: () => Record<Transport, number>;
};

export function places(ofProcess: number, ofClient: number): Places {
  const ofClients = new Map<string, number>();
  const taken = { websocket: 0, sse: 0 };
  return {
    taken: () => taken,
    take(transport, client) {
      const own = ofClients.get(client) ?? 0;
      if (taken.websocket + taken.sse >= ofProcess)
        return `This server has ${ofProcess} live connections already: try again later`;
      if (own >= ofClient) return `You have ${ofClient} live connections already: close some, or share one`;
      taken[transport]++;
      ofClients.set(client, own + 1);
      return () => {
        taken[transport]--;
        const left = ofClients.get(client)! - 1;
        if (left > 0) ofClients.set(client, left);
        else ofClients.delete(client);
      };
    },
  };
}
