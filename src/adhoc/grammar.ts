// The shape of an ad-hoc query: the nodes of PostgreSQL's syntax tree that one may have, and of each the fields. A node or field
// that is not here is refused, also one that a later PostgreSQL brings.

/**
 * What a field holds. value: text, number or boolean. node: any node of the list, with its type around it. nodes: several of them.
 * names: the parts of a name. Else the type of the node, which then stands there without its type.
 */
export type Field = "value" | "constant" | "node" | "nodes" | "names" | "SelectStmt" | StructName;
type StructName = "WithClause" | "WindowDef" | "Alias" | "TypeName";

const fields = (kind: Field, names: string) => Object.fromEntries(names.split(" ").map((name) => [name, kind]));

export const NODES: Record<string, Record<string, Field>> = {
  SelectStmt: {
    ...fields("nodes", "distinctClause targetList fromClause groupClause windowClause valuesLists sortClause"),
    ...fields("node", "whereClause havingClause limitOffset limitCount"),
    ...fields("value", "groupDistinct limitOption op all"),
    ...fields("SelectStmt", "larg rarg"),
    withClause: "WithClause",
  },
  WithClause: { ctes: "nodes", location: "value" },
  CommonTableExpr: {
    ...fields("value", "ctename ctematerialized location"),
    aliascolnames: "names",
    ctequery: "node",
  },

  RangeVar: { ...fields("value", "schemaname relname inh relpersistence location"), alias: "Alias" },
  RangeSubselect: { lateral: "value", subquery: "node", alias: "Alias" },
  RangeFunction: { ...fields("value", "lateral ordinality is_rowsfrom"), functions: "nodes", alias: "Alias" },
  JoinExpr: {
    ...fields("value", "jointype isNatural rtindex"),
    ...fields("node", "larg rarg quals"),
    ...fields("Alias", "join_using_alias alias"),
    usingClause: "names",
  },
  Alias: { aliasname: "value", colnames: "names" },

  ResTarget: { ...fields("value", "name location"), val: "node" },
  ColumnRef: { fields: "nodes", location: "value" },
  A_Const: { ...fields("constant", "ival fval boolval sval"), ...fields("value", "isnull location") },
  A_Expr: { ...fields("value", "kind location"), name: "names", ...fields("node", "lexpr rexpr") },
  A_ArrayExpr: { elements: "nodes", location: "value" },
  A_Indirection: { arg: "node", indirection: "nodes" },
  A_Indices: { is_slice: "value", ...fields("node", "lidx uidx") },
  A_Star: {},
  String: { sval: "value" },
  List: { items: "nodes" },
  BoolExpr: { ...fields("value", "boolop location"), args: "nodes" },
  NullTest: { ...fields("value", "nulltesttype argisrow location"), arg: "node" },
  BooleanTest: { ...fields("value", "booltesttype location"), arg: "node" },
  CaseExpr: { ...fields("node", "arg defresult"), args: "nodes", location: "value" },
  CaseWhen: { ...fields("node", "expr result"), location: "value" },
  CoalesceExpr: { args: "nodes", location: "value" },
  MinMaxExpr: { ...fields("value", "op location"), args: "nodes" },
  RowExpr: { args: "nodes", ...fields("value", "row_format location") },
  SubLink: {
    ...fields("value", "subLinkType subLinkId location"),
    ...fields("node", "testexpr subselect"),
    operName: "names",
  },
  TypeCast: { arg: "node", typeName: "TypeName", location: "value" },
  TypeName: { names: "names", ...fields("nodes", "typmods arrayBounds"), ...fields("value", "typemod location") },
  Integer: { ival: "value" },
  SQLValueFunction: fields("value", "op typmod location"),

  FuncCall: {
    funcname: "names",
    ...fields("nodes", "args agg_order"),
    agg_filter: "node",
    over: "WindowDef",
    ...fields("value", "agg_within_group agg_star agg_distinct func_variadic funcformat location"),
  },
  NamedArgExpr: { ...fields("value", "name argnumber location"), arg: "node" },
  WindowDef: {
    ...fields("value", "name refname frameOptions location"),
    ...fields("nodes", "partitionClause orderClause"),
    ...fields("node", "startOffset endOffset"),
  },
  SortBy: { node: "node", ...fields("value", "sortby_dir sortby_nulls location") },
  GroupingSet: { ...fields("value", "kind location"), content: "nodes" },
  GroupingFunc: { args: "nodes", location: "value" },
};

/** What people call what is not in the list. */
export const CALLED: Record<string, string> = {
  "SelectStmt.intoClause": "SELECT … INTO",
  "SelectStmt.lockingClause": "FOR UPDATE and its like",
  "WithClause.recursive": "WITH RECURSIVE",
  "CommonTableExpr.search_clause": "SEARCH",
  "CommonTableExpr.cycle_clause": "CYCLE",
  "RangeVar.catalogname": "the name of a database",
  "RangeFunction.coldeflist": "a list of column definitions",
  "TypeName.setof": "SETOF",
  "TypeName.pct_type": "%TYPE",
  "SortBy.useOp": "ORDER BY … USING",
  ParamRef: "a parameter such as $1",
  RangeTableSample: "TABLESAMPLE",
  RangeTableFunc: "XMLTABLE",
  XmlExpr: "XML",
  XmlSerialize: "XML",
  CollateClause: "COLLATE",
  JsonTable: "JSON_TABLE",
  SetToDefault: "DEFAULT",
  BitString: "a bit string",
};
