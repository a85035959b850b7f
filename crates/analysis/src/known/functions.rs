//! The functions that the service has: DataFusion 55's own, and those that Micromegas 0.33 adds. All lists are sorted.

/// What a function does to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FunctionKind {
    /// One value for each row, which depends on its arguments alone.
    Scalar,
    /// One value for each row, which differs from call to call.
    Volatile,
    /// One value for many rows.
    Aggregate,
    /// One value for each row, which depends on other rows.
    Window,
    /// Changes the lake.
    Admin,
}

/// The kind of a function by its name in lower case; `None` when there is none of that name.
pub(crate) fn function_kind(name: &str) -> Option<FunctionKind> {
    let lists = [
        (SCALAR, FunctionKind::Scalar),
        (AGGREGATE, FunctionKind::Aggregate),
        (WINDOW, FunctionKind::Window),
        (VOLATILE, FunctionKind::Volatile),
        (ADMIN, FunctionKind::Admin),
    ];
    lists
        .into_iter()
        .find(|(names, _)| names.binary_search(&name).is_ok())
        .map(|(_, kind)| kind)
}

/// Whether there is a table function of the name, in lower case.
pub(crate) fn is_table_function(name: &str) -> bool {
    TABLE.binary_search(&name).is_ok() || is_admin_table_function(name)
}

/// Whether the table function changes the lake.
pub(crate) fn is_admin_table_function(name: &str) -> bool {
    ADMIN_TABLE.binary_search(&name).is_ok()
}

/// The names of all functions that stand in an expression.
pub(crate) fn function_names() -> impl Iterator<Item = &'static str> {
    [SCALAR, AGGREGATE, WINDOW, VOLATILE, ADMIN]
        .into_iter()
        .flatten()
        .copied()
}

/// The names of all functions that stand in a `FROM`.
pub(crate) fn table_function_names() -> impl Iterator<Item = &'static str> {
    [TABLE, ADMIN_TABLE].into_iter().flatten().copied()
}

/// Row by row, and the same for the same arguments.
#[rustfmt::skip]
const SCALAR: &[&str] = &[
    "abs", "acos", "acosh", "any_match", "array_add", "array_any_match", "array_any_value", "array_append",
    "array_avg", "array_cat", "array_compact", "array_concat", "array_contains", "array_dims", "array_distance",
    "array_distinct", "array_element", "array_empty", "array_except", "array_extract", "array_filter", "array_first",
    "array_has", "array_has_all", "array_has_any", "array_indexof", "array_intersect", "array_join", "array_length",
    "array_max", "array_min", "array_ndims", "array_normalize", "array_pop_back", "array_pop_front", "array_position",
    "array_positions", "array_prepend", "array_product", "array_push_back", "array_push_front", "array_remove",
    "array_remove_all", "array_remove_n", "array_repeat", "array_replace", "array_replace_all", "array_replace_n",
    "array_resize", "array_reverse", "array_scale", "array_slice", "array_sort", "array_subtract", "array_sum",
    "array_to_string", "array_transform", "array_union", "array_zip", "arrays_overlap", "arrays_zip", "arrow_cast",
    "arrow_field", "arrow_metadata", "arrow_try_cast", "arrow_typeof", "ascii", "asin", "asinh", "atan", "atan2",
    "atanh", "bin_center", "bit_length", "btrim", "cardinality", "cast_to_type", "cbrt", "ceil", "char_length",
    "character_length", "chr", "coalesce", "color_scale", "concat", "concat_ws", "contains", "cos", "cosh",
    "cosine_distance", "cot", "count_from_histogram", "date_bin", "date_format", "date_part", "date_trunc",
    "datepart", "datetrunc", "decode", "degrees", "digest", "dot_product", "element_at", "empty", "encode",
    "ends_with", "exp", "factorial", "find_in_set", "flatten", "floor", "from_unixtime", "gcd", "gen_series",
    "generate_series", "get_field", "greatest", "hll_cardinality", "ifnull", "initcap", "inner_product", "instr",
    "isnan", "iszero", "jsonb_array_length", "jsonb_as_f64", "jsonb_as_i64", "jsonb_as_string", "jsonb_elements",
    "jsonb_entries", "jsonb_format_json", "jsonb_get", "jsonb_object_keys", "jsonb_parse", "jsonb_path_elements",
    "jsonb_path_query", "jsonb_path_query_first", "lcm", "least", "left", "length", "lerp", "lerp_color",
    "levenshtein", "list_add", "list_any_match", "list_any_value", "list_append", "list_avg", "list_cat",
    "list_compact", "list_concat", "list_contains", "list_dims", "list_distance", "list_distinct", "list_element",
    "list_empty", "list_except", "list_extract", "list_filter", "list_first", "list_has", "list_has_all",
    "list_has_any", "list_indexof", "list_intersect", "list_join", "list_length", "list_max", "list_min",
    "list_ndims", "list_normalize", "list_overlap", "list_pop_back", "list_pop_front", "list_position",
    "list_positions", "list_prepend", "list_product", "list_push_back", "list_push_front", "list_remove",
    "list_remove_all", "list_remove_n", "list_repeat", "list_replace", "list_replace_all", "list_replace_n",
    "list_resize", "list_reverse", "list_scale", "list_slice", "list_sort", "list_subtract", "list_sum",
    "list_to_string", "list_transform", "list_union", "list_zip", "ln", "log", "log10", "log2", "lower", "lpad",
    "ltrim", "make_array", "make_date", "make_list", "make_time", "map", "map_entries", "map_extract", "map_keys",
    "map_values", "md5", "named_struct", "nanvl", "nullif", "nvl", "nvl2", "octet_length", "overlay", "pi",
    "position", "pow", "power", "properties_length", "properties_to_array", "properties_to_dict",
    "properties_to_jsonb", "property_get", "quantile_from_histogram", "radians", "range", "regexp_count",
    "regexp_instr", "regexp_like", "regexp_match", "regexp_replace", "repeat", "replace", "reverse", "rgba", "right",
    "round", "row", "rpad", "rtrim", "sha224", "sha256", "sha384", "sha512", "signum", "sin", "sinh", "split_part",
    "sqrt", "starts_with", "string_to_array", "string_to_list", "strpos", "struct", "substr", "substr_index",
    "substring", "substring_index", "sum_from_histogram", "tan", "tanh", "to_char", "to_date", "to_hex",
    "to_local_time", "to_time", "to_timestamp", "to_timestamp_micros", "to_timestamp_millis", "to_timestamp_nanos",
    "to_timestamp_seconds", "to_unixtime", "translate", "trim", "trunc", "try_cast_to_type", "union_extract",
    "union_tag", "unlerp", "unnest", "upper", "variance_from_histogram", "version", "with_metadata",
];

/// Row by row, and different from one call to the next.
#[rustfmt::skip]
const VOLATILE: &[&str] = &[
    "current_date", "current_time", "current_timestamp", "file_row_index", "get_payload", "input_file_name", "now",
    "rand", "random", "today", "uuid",
];

/// Over groups of rows.
#[rustfmt::skip]
const AGGREGATE: &[&str] = &[
    "any_value", "approx_distinct", "approx_median", "approx_percentile_cont", "approx_percentile_cont_with_weight",
    "array_agg", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count", "covar", "covar_pop",
    "covar_samp", "first_value", "grouping", "last_value", "make_histogram", "make_hll", "max", "mean", "median",
    "merge_hll", "min", "nth_value", "percentile_cont", "quantile_cont", "regr_avgx", "regr_avgy", "regr_count",
    "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "stddev", "stddev_pop",
    "stddev_samp", "string_agg", "sum", "sum_histograms", "var", "var_pop", "var_population", "var_samp",
    "var_sample",
];

/// Over the rows around.
#[rustfmt::skip]
const WINDOW: &[&str] = &[
    "cume_dist", "dense_rank", "lag", "lead", "ntile", "percent_rank", "rank", "row_number",
];

/// Scalar in form, and they change the lake.
#[rustfmt::skip]
const ADMIN: &[&str] = &[
    "remove_query_denial", "retire_partition_by_file", "retire_partition_by_metadata",
];

/// In a `FROM`.
#[rustfmt::skip]
const TABLE: &[&str] = &[
    "expand_histogram", "generate_series", "jsonb_array_elements", "jsonb_each", "list_audience_grants",
    "list_partitions", "list_query_denials", "list_view_set_definitions", "list_view_sets", "parse_block",
    "perfetto_trace_chunks", "process_spans", "range", "unnest", "view_instance",
];

/// In a `FROM`, and they change the lake.
#[rustfmt::skip]
const ADMIN_TABLE: &[&str] = &[
    "deny_queries", "materialize_partitions", "regenerate_partitions", "retire_partitions",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_do_not_overlap() {
        let mut seen = std::collections::HashSet::new();
        for list in [SCALAR, VOLATILE, AGGREGATE, WINDOW, ADMIN] {
            assert!(list.is_sorted());
            assert!(list.iter().all(|name| seen.insert(*name)));
        }
        assert!(TABLE.is_sorted() && ADMIN_TABLE.is_sorted());
    }
}
