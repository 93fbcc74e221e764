// Who may use the one Postgres session of a database: first come, first served, one transaction at a time.

/** Somebody who takes turns. */
export interface Guest {
  /** Called when the guest holds its turn idly, in a transaction, while others have waited for too long. */
  expel(): void;
}

export interface Turns {
  /** Fulfilled when the guest has the turn: true, or false when it was withdrawn meanwhile. */
  acquire(guest: Guest): Promise<boolean>;
  release(guest: Guest): void;
  /** Takes a guest out of the queue; true if it stood there. */
  withdraw(guest: Guest): boolean;
  owner(): Guest | undefined;
  waiting(): number;
}

export function createTurns(): Turns {
  let owner: Guest | undefined;
  let queue: { guest: Guest; admit: (admitted: boolean) => void }[] = [];

  const next = () => {
    const first = queue.shift();
    owner = first?.guest;
    first?.admit(true);
  };
  return {
    acquire: (guest) =>
      new Promise((admit) => {
        if (owner === guest) return admit(true);
        queue.push({ guest, admit });
        if (!owner) next();
      }),
    release(guest) {
      if (owner === guest) next();
    },
    withdraw(guest) {
      const place = queue.find((entry) => entry.guest === guest);
      queue = queue.filter((entry) => entry !== place);
      place?.admit(false);
      return place !== undefined;
    },
    owner: () => owner,
    waiting: () => queue.length,
  };
}
