//! The analyser: a text in, findings out.

use std::fmt;
use std::sync::Arc;

use lakepilot_catalog::ColumnReader;
use lakepilot_query::{
    Clock, Error, ErrorKind, Query, QueryService, QueryServiceExt, Result, SystemClock, quote_literal,
};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use sqlparser::ast::Statement;

use crate::context::{CallRange, RuleContext};
use crate::known::Instances;
use crate::model::InstanceRef;
use crate::report::Report;
use crate::rules::Rule;
use crate::source::Source;
use crate::syntax::{self, ParsedStatement};
use crate::{Config, Finding, QueryShape, SchemaAnalysis, Severity, SizeModel, Span, ignore, model, rules, slicing};

/// What is known of one statement.
///
/// It is written as `{"start", "end", "findings", "views", "other_tables", "time_bounds", "sliceable", "schema"}`. Of what
/// is not a query, `sliceable` says so, and `schema` is null where no service was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct StatementAnalysis {
    /// The statement, from its first word to its last, in the text that was given.
    pub span: Span,
    /// What the rules found, in the order of the text.
    pub findings: Vec<Finding>,
    /// What it reads, and whether it can be cut by time; `None` when it is not a query.
    pub shape: Option<QueryShape>,
    /// The schema of the result, where a service was asked for it.
    pub schema: Option<SchemaAnalysis>,
}

impl Serialize for StatementAnalysis {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let nothing;
        let shape = match &self.shape {
            Some(shape) => shape,
            None => {
                nothing = QueryShape::of_no_query(self.span);
                &nothing
            }
        };
        let mut statement = serializer.serialize_struct("StatementAnalysis", 8)?;
        statement.serialize_field("start", &self.span.start)?;
        statement.serialize_field("end", &self.span.end)?;
        statement.serialize_field("findings", &self.findings)?;
        statement.serialize_field("views", &shape.views)?;
        statement.serialize_field("other_tables", &shape.other_tables)?;
        statement.serialize_field("time_bounds", &shape.time_bounds)?;
        statement.serialize_field("sliceable", &shape.sliceable)?;
        statement.serialize_field("schema", &self.schema)?;
        statement.end()
    }
}

/// What is known of a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// Its statements, in order. There is at least one: an empty text is a statement with a `syntax-error`.
    pub statements: Vec<StatementAnalysis>,
}

impl Analysis {
    /// All findings, in the order of the text.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.statements.iter().flat_map(|statement| &statement.findings)
    }

    /// The worst severity there is, or `None` when nothing was found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings().map(|finding| finding.severity).max()
    }
}

/// Checks SQL against the rules.
///
/// It never runs a query. Bad SQL is not an error of the analyser: it is what it finds.
#[derive(Clone)]
pub struct Analyzer {
    config: Config,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Analyzer")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Default for Analyzer {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Analyzer {
    /// An analyser with the clock of the machine.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            clock: Arc::new(SystemClock),
        }
    }

    /// The same analyser with another idea of what `now()` is.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Checks a text, which may hold several statements, against the schemas that every lake has.
    ///
    /// The range is the one that goes beside the SQL on the call.
    pub fn check(&self, sql: &str, call: impl Into<CallRange>) -> Analysis {
        let source = Source::new(sql);
        let call = call.into();
        let statements = syntax::parse(&source)
            .iter()
            .enumerate()
            .map(|statement| self.check_statement(&source, statement, call, &Verdict::default()))
            .collect();
        Analysis { statements }
    }

    /// Checks a text as [`check`](Self::check) does, and asks the service to plan each query: its schema is checked
    /// too, and what the service refuses is a finding at the place that it names.
    ///
    /// # Errors
    /// When the service cannot be asked: `Unavailable`, `Unauthenticated`, `TimedOut` and the like.
    pub async fn check_online(
        &self,
        service: &dyn QueryService,
        sql: &str,
        call: impl Into<CallRange>,
    ) -> Result<Analysis> {
        let call = call.into();
        // The parsed tree cannot be held while the service answers: it may be used from one thread only.
        let pieces: Vec<Option<(std::ops::Range<usize>, Vec<String>)>> = syntax::parse(&Source::new(sql))
            .iter()
            .map(|statement| is_plannable(statement).then(|| (statement.range.clone(), self.stream_ids(statement))))
            .collect();
        let mut verdicts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            verdicts.push(match piece {
                Some((range, streams)) => {
                    let mut verdict = ask(service, &sql[range], call).await?;
                    verdict.processes = processes_among(service, &streams).await;
                    verdict
                }
                None => Verdict::default(),
            });
        }
        let source = Source::new(sql);
        let statements = syntax::parse(&source)
            .iter()
            .enumerate()
            .zip(&verdicts)
            .map(|(statement, verdict)| self.check_statement(&source, statement, call, verdict))
            .collect();
        Ok(Analysis { statements })
    }

    /// The ids that a statement gives as those of streams.
    fn stream_ids(&self, statement: &ParsedStatement) -> Vec<String> {
        let query = statement.parsed.as_ref().ok().and_then(read_query);
        let Some(model) = query.map(|query| model::build(query, self.clock.now())) else {
            return Vec::new();
        };
        let scans = model
            .scans
            .iter()
            .filter(|scan| scan.view.instances == Instances::Stream);
        scans
            .filter_map(|scan| match scan.instance {
                InstanceRef::Literal(id, _) => Some(id.to_owned()),
                _ => None,
            })
            .collect()
    }

    fn check_statement(
        &self,
        source: &Source<'_>,
        (index, statement): (usize, &ParsedStatement),
        call: CallRange,
        verdict: &Verdict,
    ) -> StatementAnalysis {
        let now = self.clock.now();
        let model = statement
            .parsed
            .as_ref()
            .ok()
            .and_then(read_query)
            .map(|query| model::build(query, now));
        let ignores = ignore::ignores(source, &statement.tokens);
        let context = RuleContext {
            source,
            tokens: &statement.tokens,
            range: statement.range.clone(),
            first_word: syntax::word_at(source.text(), statement.range.start),
            index,
            parsed: statement.parsed.as_ref(),
            model: model.as_ref(),
            schema: verdict.schema.as_ref(),
            rejection: verdict.rejection.as_ref(),
            service_views: &verdict.views,
            service_processes: &verdict.processes,
            ignores: &ignores,
            call,
            config: &self.config,
            now,
        };
        let mut report = Report::new(source, &ignores, &self.config);
        for &rule in rules::all() {
            if report.begin_rule(rule) && !verdict.overrules(rule) {
                rule.check(&context, &mut report);
            }
        }
        let is_query = matches!(statement.parsed, Ok(Statement::Query(_)));
        let shape = model.as_ref().filter(|_| is_query).map(|model| {
            let sliceable = slicing::sliceable(source, &statement.tokens, model, statement.range.clone());
            QueryShape::new(source, model, call, sliceable)
        });
        StatementAnalysis {
            span: source.span(statement.range.clone()),
            findings: report.into_findings(),
            shape,
            schema: verdict.schema.clone(),
        }
    }
}

/// The query that a statement runs; planning one with `EXPLAIN` reads nothing.
fn read_query(statement: &Statement) -> Option<&sqlparser::ast::Query> {
    match statement {
        Statement::Query(query) => Some(query),
        Statement::Explain {
            analyze: true,
            statement,
            ..
        } => match statement.as_ref() {
            Statement::Query(query) => Some(query),
            _ => None,
        },
        _ => None,
    }
}

/// What a service says of one statement.
#[derive(Default)]
struct Verdict {
    schema: Option<SchemaAnalysis>,
    rejection: Option<Error>,
    /// The names of its views, asked for when one was not found.
    views: Vec<String>,
    /// The processes whose ids stand where those of streams are meant.
    processes: Vec<String>,
}

impl Verdict {
    /// Whether the service knows better than the rule: a name that it resolves exists.
    fn overrules(&self, rule: &dyn Rule) -> bool {
        self.schema.is_some() && matches!(rule.name(), "unknown-view" | "unknown-column" | "unknown-function")
    }
}

/// Whether a service may be asked to plan the statement: some plan a `CREATE` by carrying it out.
fn is_plannable(statement: &ParsedStatement) -> bool {
    matches!(statement.parsed, Ok(Statement::Query(_) | Statement::Explain { .. }))
}

async fn ask(service: &dyn QueryService, sql: &str, call: CallRange) -> Result<Verdict> {
    let query = Query::new(sql)?.with_time_range(call.time_range());
    match service.prepare(&query).await {
        Ok(prepared) => Ok(Verdict {
            schema: Some(SchemaAnalysis::new(&prepared.schema(), &SizeModel::for_query(&query))),
            ..Verdict::default()
        }),
        Err(error) if is_verdict(error.kind()) => {
            let views = match error.message().contains("not found") {
                // Names that are only offered as help are not worth an error.
                true => view_names(service).await.unwrap_or_default(),
                false => Vec::new(),
            };
            Ok(Verdict {
                rejection: Some(error),
                views,
                ..Verdict::default()
            })
        }
        Err(error) => Err(error.context("asking the service to plan the query")),
    }
}

/// The ids that are those of processes. A service that does not tell has none: it is asked to help, and not to judge.
async fn processes_among(service: &dyn QueryService, ids: &[String]) -> Vec<String> {
    if ids.is_empty() {
        return Vec::new();
    }
    let list: Vec<String> = ids.iter().map(|id| quote_literal(id)).collect();
    let sql = format!(
        "SELECT process_id FROM processes WHERE process_id IN ({})",
        list.join(", ")
    );
    texts(service, &sql, "process_id").await.unwrap_or_default()
}

async fn view_names(service: &dyn QueryService) -> Result<Vec<String>> {
    texts(service, "SELECT view_set_name FROM list_view_sets()", "view_set_name").await
}

/// The values of a column of text.
async fn texts(service: &dyn QueryService, sql: &str, column: &str) -> Result<Vec<String>> {
    let result = service.collect(&Query::new(sql)?).await?;
    let mut texts = Vec::new();
    for batch in &result.batches {
        let columns = ColumnReader::new(batch, sql);
        let column = columns.required::<String>(column)?;
        for row in 0..columns.num_rows() {
            texts.push(column.value(row)?);
        }
    }
    Ok(texts)
}

/// Whether an error tells about the statement rather than about the service. Older services say `Internal` for SQL
/// that they do not accept.
fn is_verdict(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidQuery | ErrorKind::NotFound | ErrorKind::Internal | ErrorKind::ResourceExhausted
    )
}

/// Checks a query as the guide's `validate_query` does: with the service's schema and verdict, and every rule at its
/// default where the configuration says nothing.
///
/// # Errors
/// As [`Analyzer::check_online`].
pub async fn validate(service: &dyn QueryService, query: &Query, config: &Config) -> Result<Analysis> {
    Analyzer::new(config.clone())
        .check_online(service, query.sql(), query.time_range())
        .await
}

#[cfg(test)]
mod tests {
    use lakepilot_query::{MockQueryService, Position};

    use super::*;

    fn refusing(error: impl Fn() -> Error + Send + 'static) -> MockQueryService {
        let mut service = MockQueryService::new();
        service.expect_prepare().returning(move |_| Err(error()));
        service
    }

    #[tokio::test]
    async fn the_place_in_the_refusal_is_the_place_of_the_finding() {
        let service = refusing(|| {
            Error::new(ErrorKind::InvalidQuery, "msg cannot\n\tbe had").with_position(Position { line: 2, column: 8 })
        });
        let sql = "-- é\n SELECT 1,\n       msg FROM log_entries;";
        let analysis = Analyzer::default()
            .check_online(&service, sql, CallRange::default())
            .await
            .unwrap();
        let finding = analysis
            .findings()
            .find(|finding| finding.rule == "rejected-by-server")
            .unwrap();
        assert_eq!(&sql[finding.span.range()], "msg");
        assert_eq!(finding.message, "msg cannot be had");
        assert_eq!((finding.span.start.line, finding.span.start.column), (3, 8));
    }

    #[tokio::test]
    async fn a_view_that_the_service_does_not_know_is_compared_with_those_that_it_has() {
        let mut service = refusing(|| {
            let message = "table 'datafusion.public.daily_errrors' not found (at line 1, column 18)";
            Error::new(ErrorKind::InvalidQuery, message).with_position(Position { line: 1, column: 18 })
        });
        service.expect_run().returning(|query| {
            assert!(query.sql().contains("list_view_sets()"));
            let names: arrow::array::ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["daily_errors"]));
            let batch = arrow::array::RecordBatch::try_from_iter([("view_set_name", names)])?;
            Ok(lakepilot_query::RecordBatchStream::from_batches(
                batch.schema(),
                vec![batch],
            ))
        });
        let sql = "SELECT count FROM daily_errrors";
        let analysis = Analyzer::default()
            .check_online(&service, sql, CallRange::default())
            .await
            .unwrap();
        let findings: Vec<&Finding> = analysis.findings().collect();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].rule, "unknown-view");
        assert_eq!(findings[0].help.as_deref(), Some("did you mean daily_errors?"));
        assert_eq!(&sql[findings[0].span.range()], "daily_errrors");
    }

    #[tokio::test]
    async fn a_process_where_a_stream_is_meant_is_told_from_a_stream() {
        let sql = "SELECT name FROM view_instance('thread_spans', 'p') UNION ALL \
                   SELECT name FROM view_instance('thread_spans', 's')";
        let mut service = MockQueryService::new();
        let prepared = lakepilot_query::PreparedQuery::new(Arc::new(arrow::datatypes::Schema::empty()));
        service.expect_prepare().returning(move |_| Ok(prepared.clone()));
        service.expect_run().times(1).returning(|query| {
            assert!(query.sql().ends_with("FROM processes WHERE process_id IN ('p', 's')"));
            let ids: arrow::array::ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["p"]));
            let batch = arrow::array::RecordBatch::try_from_iter([("process_id", ids)])?;
            Ok(lakepilot_query::RecordBatchStream::from_batches(
                batch.schema(),
                vec![batch],
            ))
        });
        let range = lakepilot_query::TimeRange::new(chrono::DateTime::UNIX_EPOCH, chrono::DateTime::UNIX_EPOCH);
        let analysis = Analyzer::default()
            .check_online(&service, sql, range.ok())
            .await
            .unwrap();
        let findings: Vec<&Finding> = analysis.findings().collect();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].rule, "span-view-without-instance");
        assert_eq!(&sql[findings[0].span.range()], "'p'");
    }

    #[tokio::test]
    async fn what_the_service_takes_exists() {
        let mut service = MockQueryService::new();
        let schema = Arc::new(arrow::datatypes::Schema::empty());
        let prepared = lakepilot_query::PreparedQuery::new(schema);
        service.expect_prepare().returning(move |_| Ok(prepared.clone()));
        let sql = "SELECT new_column, new_function(1) FROM processes";
        let analyzer = Analyzer::default();
        assert_eq!(analyzer.check(sql, CallRange::default()).findings().count(), 2);
        let online = analyzer
            .check_online(&service, sql, CallRange::default())
            .await
            .unwrap();
        assert_eq!(online.findings().count(), 0);
    }

    #[tokio::test]
    async fn a_service_that_cannot_be_asked_is_an_error() {
        let service = refusing(|| Error::new(ErrorKind::Unavailable, "connection refused"));
        let query = Query::new("SELECT 1").unwrap();
        let error = validate(&service, &query, &Config::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn what_does_not_parse_is_not_sent() {
        let service = MockQueryService::new();
        let analysis = Analyzer::default()
            .check_online(&service, "SELEC 1; CREATE TABLE t AS SELECT 1", CallRange::default())
            .await
            .unwrap();
        assert_eq!(analysis.statements.len(), 2);
        assert_eq!(analysis.worst(), Some(Severity::Error));
    }
}
