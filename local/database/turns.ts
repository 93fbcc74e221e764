// Who may use the one Postgres session of a database: first come, first served, one transaction at a time. The owner of an open
// transaction may lend its turn to a guest that it waits for.

/** Somebody who takes turns. */
export interface Guest {
  /** Whether this guest, idle in its transaction, waits for the other one. */
  hosts(other: Guest): boolean;
  /** Whether it can wait as long as it takes. */
  patient?: boolean;
}

export type Turn = "own" | "lent" | "withdrawn";

export type Turns = ReturnType<typeof createTurns>;

export function createTurns() {
  let owner: Guest | undefined;
  let borrower: Guest | undefined;
  let paused = false;
  let queue: { guest: Guest; admit: (turn: Turn) => void }[] = [];

  const admitFirst = (turn: Turn, may: (guest: Guest) => boolean): Guest | undefined => {
    const entry = queue.find(({ guest }) => may(guest));
    if (!entry) return undefined;
    queue = queue.filter((other) => other !== entry);
    entry.admit(turn);
    return entry.guest;
  };
  const next = () => {
    if (!owner) {
      owner = admitFirst("own", () => true);
      paused = false;
    } else if (!borrower && paused) {
      if (admitFirst("own", (guest) => guest === owner)) paused = false;
      else borrower = admitFirst("lent", (guest) => owner!.hosts(guest));
    }
  };
  return {
    /** Fulfilled when the guest has the turn, or at once if it has it already. */
    acquire: (guest: Guest) =>
      new Promise<Turn>((admit) => {
        if (guest === borrower) return admit("lent");
        if (guest === owner && !borrower) {
          paused = false;
          return admit("own");
        }
        queue.push({ guest, admit });
        next();
      }),
    /** The guest keeps its turn but does not use it now. */
    pause(guest: Guest) {
      if (guest !== owner) return;
      paused = true;
      next();
    },
    release(guest: Guest) {
      if (guest === borrower) borrower = undefined;
      else if (guest === owner) owner = undefined;
      next();
    },
    /** Takes a guest out of the queue. */
    withdraw(guest: Guest) {
      const place = queue.find((entry) => entry.guest === guest);
      queue = queue.filter((entry) => entry !== place);
      place?.admit("withdrawn");
    },
    /** How many guests wait that want to go on. */
    waiting: () => queue.filter(({ guest }) => !guest.patient).length,
    /** Whether the owner keeps its turn without using it. */
    paused: () => owner !== undefined && paused,
  };
}
