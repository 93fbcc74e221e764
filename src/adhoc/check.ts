// Reads an ad-hoc query with the parser of PostgreSQL 17 and lets one SELECT pass whose every node, name and type is on the lists.
// Everything else is refused with what it is about. Where the tree is not what the lists expect, that is a refusal, too.

import { hasSqlDetails, loadModule, parseSync } from "libpg-query";
import { CALLED, type Field, NODES } from "./grammar.ts";
import { Refusal } from "./refusal.ts";
import { FUNCTIONS, JOINING, OPERATORS, RELATIONS, SYSTEM_COLUMNS, TYPES, VALUE_FUNCTIONS } from "./vocabulary.ts";

/** In 10 000 characters nothing can be nested so deeply that the parser runs out of its stack; that was tried with 29 forms. */
const LENGTH = 10_000;
/** Planning grows with them. */
const RELATION_REFERENCES = 16;
/** Levels of the tree; `a + b + c` has one for each operator, `a and b and c` one for all. */
const NESTING = 500;
/** Doubling a text by itself this often makes it 65 000 times as long. */
const JOININGS = 16;

type Node = Record<string, unknown>;
type Scope = ReadonlySet<string>;

await loadModule();

/** @throws Refusal, which says what the query must not contain. */
export function check(sql: string): void {
  if (sql.length > LENGTH) throw new Refusal(`the query has ${sql.length} characters, the bound is ${LENGTH}`);
  // Parser and server take text up to the first NUL; half a surrogate pair each of them in its own way.
  if (sql.includes("\0") || !sql.isWellFormed()) throw new Refusal("the query has a character that is none in UTF-8");
  if (sql.trim() === "") throw new Refusal("the query is empty");

  const statements = parse(sql);
  if (statements.length === 0) throw new Refusal("the query is empty");
  if (statements.length > 1)
    throw new Refusal(`there are ${statements.length} statements: only one is answered, a SELECT`);
  const statement = statements[0]!.stmt as Node;
  const [type] = Object.keys(statement);
  if (type !== "SelectStmt") throw new Refusal(`only SELECT is answered, not ${spoken(type ?? "nothing")}`);
  admit(statement.SelectStmt);
}

/** Walks the tree of one SELECT. */
function admit(statement: unknown): void {
  let relations = 0;
  let joinings = 0;
  let level = 0;
  struct("SelectStmt", statement, new Set());

  /** A node with its type around it. */
  function node(tagged: unknown, scope: Scope): void {
    if (!isNode(tagged)) throw unreadable();
    const types = Object.keys(tagged);
    if (types.length === 0) return; // what is left out in a list
    if (types.length !== 1) throw unreadable();
    struct(types[0]!, tagged[types[0]!], scope);
  }

  function struct(type: string, value: unknown, outer: Scope): void {
    const shape = Object.hasOwn(NODES, type) ? NODES[type]! : undefined;
    if (!shape) throw new Refusal(`${spoken(type)} is not allowed`);
    if (!isNode(value)) throw unreadable();
    if (++level > NESTING) throw new Refusal(`the query is nested more than ${NESTING} levels deep`);
    let scope = outer;
    // The names that WITH gives hold in the rest of the statement, and each in what follows it.
    if (type === "SelectStmt" && value.withClause !== undefined) scope = withClause(value.withClause, outer);

    for (const [name, content] of Object.entries(value)) {
      if (name === "withClause") continue;
      if (!Object.hasOwn(shape, name))
        throw new Refusal(`${CALLED[`${type}.${name}`] ?? `${type}.${name}`} is not allowed`);
      field(shape[name]!, content, scope);
    }
    names(type, value, scope);
    level--;
  }

  function field(kind: Field, content: unknown, scope: Scope): void {
    switch (kind) {
      case "value":
        if (typeof content === "object") throw unreadable();
        return;
      case "constant":
        if (!isNode(content) || Object.values(content).some((inner) => typeof inner === "object")) throw unreadable();
        return;
      case "node":
        node(content, scope);
        return;
      case "names":
        parts(content);
        return;
      case "nodes":
        if (!Array.isArray(content)) throw unreadable();
        for (const inner of content) node(inner, scope);
        return;
      default:
        struct(kind, content, scope);
    }
  }

  function withClause(clause: unknown, outer: Scope): Scope {
    if (!isNode(clause)) throw unreadable();
    for (const name of Object.keys(clause))
      if (!Object.hasOwn(NODES.WithClause!, name))
        throw new Refusal(`${CALLED[`WithClause.${name}`] ?? name} is not allowed`);
    if (!Array.isArray(clause.ctes)) throw unreadable();
    const scope = new Set(outer);
    for (const cte of clause.ctes) {
      node(cte, scope);
      const name = ((cte as Node).CommonTableExpr as Node | undefined)?.ctename;
      if (typeof name !== "string") throw unreadable();
      if (name.startsWith("pg_")) throw new Refusal(`a name in WITH must not begin with pg_, as "${name}" does`);
      scope.add(name);
    }
    return scope;
  }

  /** What a node names must be on the lists. */
  function names(type: string, value: Node, scope: Scope): void {
    switch (type) {
      case "RangeVar": {
        const name = String(value.relname);
        if (++relations > RELATION_REFERENCES)
          throw new Refusal(`the query reads more than ${RELATION_REFERENCES} relations`);
        if (value.schemaname === undefined && scope.has(name)) return;
        if (!(["analytics", undefined] as unknown[]).includes(value.schemaname) || !RELATIONS.has(name))
          throw new Refusal(`relation "${dotted([value.schemaname, name])}" is not allowed`);
        return;
      }
      case "FuncCall": {
        const name = parts(value.funcname);
        if (!listed(FUNCTIONS, name)) throw new Refusal(`function ${dotted(name)} is not allowed`);
        joins(name.at(-1)!);
        return;
      }
      case "TypeName": {
        const name = parts(value.names);
        if (!listed(TYPES, name)) throw new Refusal(`type ${dotted(name)} is not allowed`);
        return;
      }
      case "A_Expr":
      case "SubLink": {
        const name = parts(value.name ?? value.operName ?? []);
        if (name.length === 0 && type === "SubLink") return;
        if (/^AEXPR_(NOT_)?BETWEEN(_SYM)?$/.test(String(value.kind))) return;
        if (value.kind === "AEXPR_SIMILAR") throw new Refusal("SIMILAR TO is not allowed");
        if (!OPERATORS.has(name.at(-1) ?? "") || name.length > 2 || (name.length === 2 && name[0] !== "pg_catalog"))
          throw new Refusal(`operator ${dotted(name)} is not allowed`);
        joins(name.at(-1)!);
        return;
      }
      case "ColumnRef": {
        // alias.name calls the function of that name when there is no such column. All that take a whole row are harmless, or
        // begin with pg_.
        const last = (value.fields as Node[]).at(-1)?.String as Node | undefined;
        const name = last === undefined ? "" : String(last.sval);
        if (SYSTEM_COLUMNS.has(name) || name.startsWith("pg_")) throw new Refusal(`column "${name}" is not allowed`);
        for (const part of value.fields as Node[]) if (!("String" in part || "A_Star" in part)) throw unreadable();
        return;
      }
      case "A_Indirection":
        // (value).name calls a function as well.
        for (const part of value.indirection as Node[])
          if (!("A_Indices" in part)) throw new Refusal("(value).field is not allowed: put it into FROM");
        return;
      case "SQLValueFunction":
        if (!VALUE_FUNCTIONS.test(String(value.op)))
          throw new Refusal(`${String(value.op).replace("SVFOP_", "").toLowerCase()} is not allowed`);
        return;
    }
  }

  function joins(name: string): void {
    if (JOINING.has(name) && ++joinings > JOININGS)
      throw new Refusal(`the query joins texts more than ${JOININGS} times`);
  }
}

function parse(sql: string): Node[] {
  let tree: unknown;
  try {
    tree = parseSync(sql);
  } catch (error) {
    if (hasSqlDetails(error)) {
      const { message, cursorPosition } = (error as { sqlDetails: { message: string; cursorPosition: number } })
        .sqlDetails;
      throw new Refusal(`${message} (character ${cursorPosition + 1})`);
    }
    throw new Refusal("the query cannot be parsed: make it simpler");
  }
  const { stmts = [] } = tree as { stmts?: Node[] };
  return stmts;
}

/** The parts of a name; all of them must be plain. */
function parts(list: unknown): string[] {
  if (!Array.isArray(list)) throw unreadable();
  return list.map((part: Node) => {
    const { String: text } = part as { String?: { sval?: string } };
    if (Object.keys(part).length !== 1 || typeof text?.sval !== "string") throw unreadable();
    return text.sval;
  });
}

function listed(lists: Record<string, Set<string>>, name: string[]): boolean {
  if (name.length === 1) return Object.values(lists).some((list) => list.has(name[0]!));
  const [schema, last] = name as [string, string];
  return name.length === 2 && Object.hasOwn(lists, schema) && lists[schema]!.has(last);
}

/** InsertStmt: INSERT; DropStmt: DROP; VariableSetStmt: VARIABLE SET. */
function spoken(type: string): string {
  if (Object.hasOwn(CALLED, type)) return CALLED[type]!;
  return type.endsWith("Stmt")
    ? type
        .slice(0, -4)
        .replace(/(?<=[a-z])(?=[A-Z])/g, " ")
        .toUpperCase()
    : type;
}

function dotted(name: unknown[]): string {
  return name.filter((part) => part !== undefined).join(".");
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unreadable(): Refusal {
  return new Refusal("the query has something that is not understood: make it simpler");
}
