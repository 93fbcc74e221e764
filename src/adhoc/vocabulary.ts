// The words that an ad-hoc query may use: relations, functions, types and operators. What is not here is refused. A function is
// here when it only computes from its arguments or reads what the login may read, and makes of a small value no large one: not
// repeat, lpad, replace, format.

const words = (...lines: string[]) => new Set(lines.flatMap((line) => line.split(" ")));

/** Of schema analytics; sql/roles/adhoc.sql grants the same, and a test compares. */
export const RELATIONS = words(
  "active_alerts alert_history alert_rules alerts endpoint_metrics_5min events high_risk_events metrics_1hour metrics_1min",
  "metrics_5min performance_trend rejected_events retention service_health services silences slowest_services top_error_services",
);

/** By schema; without one, any of them. */
export const FUNCTIONS: Record<string, Set<string>> = {
  analytics: words("alert_stats metrics service_summary sla"),
  // of TimescaleDB
  public: words("time_bucket time_bucket_gapfill locf interpolate first last histogram"),
  pg_catalog: words(
    // numbers
    "abs ceil ceiling floor round trunc sqrt cbrt exp ln log log10 power pow mod div sign width_bucket random",
    // text
    "length char_length character_length octet_length lower upper initcap btrim ltrim rtrim left right substr substring position",
    "strpos split_part concat concat_ws starts_with reverse md5 translate overlay regexp_match regexp_matches regexp_count",
    "regexp_like regexp_substr regexp_split_to_array string_to_array like_escape to_char to_number",
    // time
    "now transaction_timestamp statement_timestamp clock_timestamp date_trunc date_part date_bin extract timezone age date",
    "make_interval make_date make_timestamptz to_timestamp to_date justify_hours justify_days justify_interval isfinite",
    // aggregates
    "count sum avg min max bool_and bool_or every stddev stddev_samp stddev_pop variance var_samp var_pop corr covar_samp covar_pop",
    "regr_slope regr_intercept regr_r2 regr_count percentile_cont percentile_disc mode any_value string_agg array_agg json_agg",
    "jsonb_agg json_object_agg jsonb_object_agg",
    // windows
    "row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value",
    // JSON
    "jsonb_extract_path jsonb_extract_path_text jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text",
    "jsonb_object_keys jsonb_array_length jsonb_typeof jsonb_build_object jsonb_build_array jsonb_strip_nulls to_json to_jsonb",
    "row_to_json json_build_object json_build_array jsonb_path_query jsonb_path_query_first jsonb_path_query_array",
    "jsonb_path_exists",
    // arrays, sets, addresses, NULLs
    "unnest array_length cardinality array_position array_to_string generate_series host family masklen network abbrev",
    "num_nulls num_nonnulls",
  ),
};

/** By schema; without one, any of them. No reg* (they look names up in the catalog), no char(n) or bit(n) (they pad). */
export const TYPES: Record<string, Set<string>> = {
  analytics: words(
    "event_level resolution health alert_severity alert_status alert_operator alert_reason no_data_policy retention_tier reject_reason",
  ),
  pg_catalog: words(
    "bool int2 int4 int8 float4 float8 numeric text varchar date time timetz timestamp timestamptz interval json jsonb uuid inet cidr",
  ),
};

export const OPERATORS = words(
  "+ - * / % ^ = <> < > <= >= || ~ ~* !~ !~* ~~ ~~* !~~ !~~* -> ->> #> #>> @> <@ ? ?| ?& && << >> <<= >>= & | # @? @@ @",
);

/** Each makes text of other texts; a chain that doubles needs many. */
export const JOINING = words("|| concat concat_ws");

/** Of SELECT current_user and its like, those that tell the time. */
export const VALUE_FUNCTIONS =
  /^SVFOP_(CURRENT_DATE|CURRENT_TIME(_N)?|CURRENT_TIMESTAMP(_N)?|LOCALTIME(_N)?|LOCALTIMESTAMP(_N)?)$/;

export const SYSTEM_COLUMNS = words("ctid tableoid xmin xmax cmin cmax");
