//! The functions on JSONB.

use lakepilot_query::{Dictionaries, ErrorKind, Query};

use super::fixture::{Fixture, rows_of};

#[tokio::test(flavor = "multi_thread")]
async fn properties_are_taken_apart() {
    let fixture = Fixture::new();
    for (expression, expected) in [
        ("property_get(properties, 'color')", "red"),
        ("property_get(properties, 'COLOR')", "red"),
        ("property_get(properties, 'size')", "7"),
        ("property_get(properties, 'deep')", r#"{"list":[1,2,3]}"#),
        ("property_get(properties, 'nope')", "NULL"),
        ("property_get(properties, arrow_cast(NULL, 'Utf8'))", "NULL"),
        (
            "property_get(properties, CASE WHEN level = 0 THEN 'color' ELSE 'size' END)",
            "red",
        ),
        ("property_get(jsonb_parse('{\"a\":\"b\"}'), 'a')", "b"),
        (
            "jsonb_format_json(jsonb_get(properties, 'deep'))",
            r#"{"list":[1,2,3]}"#,
        ),
        ("jsonb_as_string(jsonb_get(properties, 'color'))", "red"),
        ("jsonb_as_string(jsonb_get(properties, 'size'))", "NULL"),
        ("jsonb_as_i64(jsonb_get(properties, 'size'))", "7"),
        ("jsonb_as_f64(jsonb_get(properties, 'size'))", "7.0"),
        ("jsonb_as_i64(jsonb_get(properties, 'color'))", "NULL"),
        (
            "jsonb_array_length(jsonb_get(jsonb_get(properties, 'deep'), 'list'))",
            "3",
        ),
        ("jsonb_array_length(properties)", "NULL"),
        (
            "array_to_string(jsonb_object_keys(jsonb_get(properties, 'deep')), ',')",
            "list",
        ),
        ("jsonb_format_json(jsonb_parse('[1, 2'))", "NULL"),
        ("jsonb_format_json(jsonb_parse('[1, 2]'))", "[1,2]"),
    ] {
        let rows = fixture
            .rows(
                &format!("SELECT {expression} AS x FROM log_entries ORDER BY time"),
                None,
            )
            .await;
        assert_eq!((rows.len(), rows[0].as_str()), (18, expected), "{expression}");
    }
    let other = fixture
        .rows("SELECT property_get(properties, CASE WHEN level = 0 THEN 'color' ELSE 'size' END) FROM log_entries ORDER BY time LIMIT 2", None)
        .await;
    assert_eq!(other, ["red", "7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_property_groups_and_filters_and_stays_a_dictionary() {
    let fixture = Fixture::new();
    let sql = "SELECT property_get(properties, 'color') AS color, count(*) AS entries FROM log_entries \
               WHERE property_get(properties, 'color') = 'red' AND property_get(properties, 'nope') IS NULL GROUP BY color";
    let query = Query::new(sql).unwrap().with_dictionaries(Dictionaries::Preserved);
    let result = fixture.collect(query).await.unwrap();
    assert_eq!(rows_of(&result), ["red|18"]);
    assert_eq!(
        result.schema.field(0).data_type().to_string(),
        "Dictionary(Int32, Utf8)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_jsonb_is_refused() {
    let fixture = Fixture::new();
    for sql in [
        "SELECT property_get(level, 'a') FROM log_entries",
        "SELECT property_get(properties, 5) FROM log_entries",
        "SELECT property_get(properties) FROM log_entries",
        "SELECT jsonb_as_string(x'ffffffffff')",
    ] {
        let error = fixture.failure(sql, None).await;
        assert_eq!(error.kind(), ErrorKind::InvalidQuery, "{sql}: {error}");
    }
}
