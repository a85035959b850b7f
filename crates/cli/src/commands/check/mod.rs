//! `lakepilot check`: findings about queries before they run.

mod fixing;
mod report;

use std::rc::Rc;

use futures::stream::{self, StreamExt, TryStreamExt};
use lakepilot_analysis::{Analysis, Analyzer, CallRange, Severity};
use lakepilot_query::{Error, ErrorKind, QueryService, Result};

use crate::args::{CheckArgs, FailOn};
use crate::config::Settings;
use crate::context::Context;
use crate::exit::Outcome;
use crate::inputs::{self, Input};
use crate::output;
use report::Summary;
#[cfg(feature = "lake")]
pub(crate) use report::for_people;

/// How many texts a server is asked about at once.
const ASKED_AT_ONCE: usize = 8;

/// A text, and what checks it.
struct Check {
    input: Input,
    analyzer: Rc<Analyzer>,
}

impl Check {
    fn offline(&self, call: CallRange) -> Analysis {
        match self.input.is_markdown {
            true => self.analyzer.check_markdown(&self.input.text, call),
            false => self.analyzer.check(&self.input.text, call),
        }
    }

    async fn online(&self, service: &dyn QueryService, call: CallRange) -> Result<Analysis> {
        let text = &self.input.text;
        match self.input.is_markdown {
            true => self.analyzer.check_markdown_online(service, text, call).await,
            false => self.analyzer.check_online(service, text, call).await,
        }
    }
}

pub(crate) async fn check(args: CheckArgs, context: &Context) -> Result<Outcome> {
    let call = context.call_range()?;
    let mut settings = Settings::new(&args.settings)?;
    let mut checks = Vec::new();
    for input in inputs::read(&args.sql, &args.files)? {
        let analyzer = settings.analyzer(input.path.as_deref())?;
        checks.push(Check { input, analyzer });
    }
    if args.diff {
        return fixing::show(&checks, call, &args, context);
    }
    let fixed = match args.fix {
        true => fixing::apply(&mut checks, call, context)?,
        false => 0,
    };
    let (analyses, is_online) = analyze(&checks, call, &args, context).await?;
    let summary = Summary::new(&analyses, checks.len(), fixed, is_online);
    // The fixed text has standard output to itself, so that it can be piped on.
    let prints_fixed = args.fix && checks.iter().any(|check| check.input.path.is_none());
    if prints_fixed {
        fixing::print(&checks)?;
    }
    let told = report::render(&checks, &analyses, &summary, args.format, context, prints_fixed)?;
    match prints_fixed {
        true => output::print_error(&told),
        false => output::print(&told)?,
    }
    let is_found = least(args.fail_on).is_some_and(|least| analyses.iter().any(|one| one.worst() >= Some(least)));
    Ok(match is_found {
        true => Outcome::Findings,
        false => Outcome::Done,
    })
}

/// The least severity at which the check fails.
fn least(fail_on: FailOn) -> Option<Severity> {
    match fail_on {
        FailOn::Error => Some(Severity::Error),
        FailOn::Warning => Some(Severity::Warning),
        FailOn::Hint => Some(Severity::Hint),
        FailOn::Never => None,
    }
}

/// Checks every text, with the server unless it is not to be asked or cannot be; tells whether it was asked.
///
/// A linter has to work where there is no server. So only `--online` makes one that cannot be reached an error. That
/// there is none at the default address, which nobody named, is not even worth a word.
async fn analyze(
    checks: &[Check],
    call: CallRange,
    args: &CheckArgs,
    context: &Context,
) -> Result<(Vec<Analysis>, bool)> {
    if !args.offline {
        match ask(checks, call, context).await {
            Ok(analyses) => return Ok((analyses, true)),
            Err(error) if args.online => return Err(error),
            Err(error) if is_unreachable(&error) => {
                if context.is_server_named() {
                    context
                        .messages
                        .warn(format!("checked without the server (--offline asks for that): {error}"));
                }
            }
            Err(error) if context.is_server_named() => return Err(error),
            Err(error) => context.messages.warn(format!(
                "checked without the server at the default address, which does not answer as a lake does: {error}"
            )),
        }
    }
    let analyses = checks.iter().map(|check| check.offline(call)).collect();
    Ok((analyses, false))
}

async fn ask(checks: &[Check], call: CallRange, context: &Context) -> Result<Vec<Analysis>> {
    let service = context.service().await?;
    let service = service.as_ref();
    stream::iter(checks)
        .map(|check| async move {
            let analysis = check.online(service, call).await;
            analysis.map_err(|error| error.context(&check.input.name))
        })
        .buffered(ASKED_AT_ONCE)
        .try_collect()
        .await
}

fn is_unreachable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::TimedOut)
}
