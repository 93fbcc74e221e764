// A client that runs inside the open transaction of another one, because that one waits for it: graphile-migrate holds a lock on
// one connection while a second one runs the migration. Its transactions are savepoints, and it is told otherwise. The price: a
// rollback of the host undoes them.
import { commandComplete, type Message, query, readyForQuery, textAt, typeOf } from "./wire.ts";

/** SQL to run before a unit, what to run in its place, and SQL to run after it. */
interface Plan {
  before?: string;
  instead?: Buffer;
  after?: (status: string) => string;
}

const save = "savepoint nested_transaction";
const release = "release savepoint nested_transaction";
const undo = `rollback to savepoint nested_transaction; ${release}`;
const command = /^\s*(begin|start\s+transaction|commit|end|rollback|abort)\b[^;]*;?\s*$/i;

/** The SQL with which graphile-migrate says that it is going to wait for another connection. */
export const announcesNested = /\block\s+graphile_migrate\.current\b/i;

export function createNested() {
  let open = false;
  let failed = false;
  let tag: string | undefined;
  let answered = false;

  return {
    /** Whether the client is in a transaction of its own. */
    inTransaction: () => open,
    plan(unit: Message[]): Plan {
      const sql = typeOf(unit[0]!) === "Q" ? textAt(unit[0]!, 5) : "";
      const word = sql.match(command)?.[1]?.toLowerCase();
      tag = undefined;
      answered = false;
      if (!word) return open ? {} : { before: save, after: (status) => (status === "E" ? undo : release) };
      const wasOpen = open;
      open = /^(begin|start)/.test(word);
      if (open) tag = "BEGIN";
      else tag = /^(commit|end)/.test(word) && !failed ? "COMMIT" : "ROLLBACK";
      if (open === wasOpen) return { instead: query(`${save}; ${release}`) }; // as good as nothing
      return { instead: query(open ? save : tag === "COMMIT" ? release : undo) };
    },
    /** Changes an answer into what the client would see on its own; undefined hides it. */
    disguise(answer: Message): Message | undefined {
      if (answer[0] === 67 && tag) {
        if (answered) return undefined;
        answered = true;
        return commandComplete(tag);
      }
      if (answer[0] !== 90) return answer;
      failed = answer[5] === 69;
      return open ? answer : readyForQuery("I");
    },
  };
}
