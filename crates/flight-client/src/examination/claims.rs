//! What a server says that it can do, beside what it does.

use lakepilot_query::{ServerInfo, TransactionSupport};

use super::report::{CallReport, Claim, Verdict};

/// The names of actions, and the calls that try them.
const ACTIONS: [(&str, &str); 9] = [
    ("CreatePreparedStatement", "CreatePreparedStatement"),
    ("ClosePreparedStatement", "ClosePreparedStatement"),
    ("BeginTransaction", "BeginTransaction"),
    ("EndTransaction", "EndTransaction"),
    ("BeginSavepoint", "BeginSavepoint"),
    ("EndSavepoint", "EndSavepoint"),
    ("CancelQuery", "CancelQuery"),
    ("CancelFlightInfo", "CancelFlightInfo"),
    ("RenewFlightEndpoint", "RenewFlightEndpoint"),
];

/// Puts what the server says beside what it does.
pub(super) fn claims(info: Option<&ServerInfo>, actions: &[String], calls: &[CallReport]) -> Vec<Claim> {
    let told = |get: fn(&ServerInfo) -> Option<bool>| info.and_then(get);
    let mut claims = vec![
        yes_or_no("SQL", told(ServerInfo::takes_sql), calls, &["DoGet"]),
        transactions(info.and_then(ServerInfo::transactions), calls),
        yes_or_no(
            "cancel",
            told(ServerInfo::cancels),
            calls,
            &["CancelFlightInfo", "CancelQuery"],
        ),
        yes_or_no(
            "Substrait",
            told(ServerInfo::takes_substrait),
            calls,
            &["StatementSubstraitPlan"],
        ),
        yes_or_no("bulk ingestion", told(ServerInfo::ingests), calls, &["StatementIngest"]),
        read_only(told(ServerInfo::is_read_only), calls),
    ];
    claims.extend(prepared(calls));
    for (action, call) in ACTIONS {
        let verdict = verdict(calls, call);
        if actions.iter().any(|listed| listed == action)
            && matches!(verdict, Some(Verdict::Unimplemented | Verdict::Wrong))
        {
            claims.push(Claim {
                claim: format!("action {action}"),
                says: Some("listed".to_owned()),
                does: verdict.map_or("", Verdict::as_str).to_owned(),
                agrees: Some(false),
            });
        }
    }
    claims
}

fn verdict(calls: &[CallReport], name: &str) -> Option<Verdict> {
    calls.iter().find(|call| call.call == name).map(|call| call.verdict)
}

/// What comes of several ways to do one thing: the best.
fn best(calls: &[CallReport], names: &[&str]) -> Verdict {
    let order = [Verdict::Works, Verdict::Refused, Verdict::Wrong, Verdict::Unimplemented];
    let found: Vec<Verdict> = names.iter().filter_map(|name| verdict(calls, name)).collect();
    order
        .into_iter()
        .find(|verdict| found.contains(verdict))
        .unwrap_or(Verdict::NotTried)
}

/// Whether a server does a thing, as far as that can be told: a refusal is not for want of it.
fn done(verdict: Verdict) -> Option<bool> {
    match verdict {
        Verdict::Works | Verdict::Refused => Some(true),
        Verdict::Unimplemented | Verdict::Wrong => Some(false),
        Verdict::NotTried => None,
    }
}

fn agreement<T: PartialEq>(says: Option<T>, does: Option<T>) -> Option<bool> {
    Some(says? == does?)
}

fn yes_or_no(claim: &str, says: Option<bool>, calls: &[CallReport], names: &[&str]) -> Claim {
    let verdict = best(calls, names);
    Claim {
        claim: claim.to_owned(),
        says: says.map(word),
        does: verdict.as_str().to_owned(),
        agrees: agreement(says, done(verdict)),
    }
}

fn transactions(says: Option<TransactionSupport>, calls: &[CallReport]) -> Claim {
    let begin = best(calls, &["BeginTransaction"]);
    let savepoint = best(calls, &["BeginSavepoint"]);
    let does = match (done(begin), done(savepoint)) {
        (None, _) => None,
        (Some(false), _) => Some(TransactionSupport::None),
        (_, Some(true)) => Some(TransactionSupport::Savepoints),
        _ => Some(TransactionSupport::Transactions),
    };
    let text = |support: TransactionSupport| match support {
        TransactionSupport::None => "none",
        TransactionSupport::Transactions => "transactions",
        TransactionSupport::Savepoints => "with savepoints",
    };
    Claim {
        claim: "transactions".to_owned(),
        says: says.map(|support| text(support).to_owned()),
        does: does.map_or(Verdict::NotTried.as_str(), text).to_owned(),
        agrees: agreement(says, does),
    }
}

/// That nothing can be changed can be contradicted, and not shown.
fn read_only(says: Option<bool>, calls: &[CallReport]) -> Claim {
    let changes = best(calls, &["StatementUpdate", "StatementIngest"]);
    let does = match changes {
        Verdict::Works => "an update works",
        Verdict::NotTried => Verdict::NotTried.as_str(),
        _ => "no update works",
    };
    Claim {
        claim: "read only".to_owned(),
        says: says.map(word),
        does: does.to_owned(),
        agrees: (changes == Verdict::Works).then_some(says).flatten().map(|says| !says),
    }
}

/// There is no fact for prepared statements: whoever makes one is taken at their word, as ordinary drivers do, which prepare
/// every query and run it by its handle.
fn prepared(calls: &[CallReport]) -> Option<Claim> {
    if verdict(calls, "CreatePreparedStatement") != Some(Verdict::Works) {
        return None;
    }
    let run = verdict(calls, "PreparedStatementQuery")?;
    Some(Claim {
        claim: "prepared statements".to_owned(),
        says: Some("can be made".to_owned()),
        does: match run {
            Verdict::Works => "and run".to_owned(),
            other => format!("run by handle: {}", other.as_str()),
        },
        agrees: done(run),
    })
}

fn word(says: bool) -> String {
    if says { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakepilot_query::InfoValue;

    fn call(call: &'static str, verdict: Verdict) -> CallReport {
        CallReport {
            call,
            verdict,
            detail: String::new(),
            latency_ms: None,
        }
    }

    fn of(claims: &[Claim], name: &str) -> (Option<String>, String, Option<bool>) {
        let claim = claims.iter().find(|claim| claim.claim == name).unwrap();
        (claim.says.clone(), claim.does.clone(), claim.agrees)
    }

    #[test]
    fn a_server_that_claims_too_much_is_contradicted() {
        let info: ServerInfo = [
            (8, InfoValue::Integer(2)),
            (9, InfoValue::Bool(true)),
            (5, InfoValue::Bool(false)),
            (3, InfoValue::Bool(true)),
        ]
        .into_iter()
        .collect();
        let calls = [
            call("DoGet", Verdict::Works),
            call("BeginTransaction", Verdict::Works),
            call("BeginSavepoint", Verdict::Unimplemented),
            call("CancelFlightInfo", Verdict::Unimplemented),
            call("CancelQuery", Verdict::Unimplemented),
            call("StatementSubstraitPlan", Verdict::Unimplemented),
            call("StatementUpdate", Verdict::Works),
            call("CreatePreparedStatement", Verdict::Works),
            call("PreparedStatementQuery", Verdict::Unimplemented),
        ];
        let claims = claims(Some(&info), &["CancelQuery".to_owned()], &calls);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            of(&claims, "transactions"),
            (text("with savepoints"), "transactions".to_owned(), Some(false))
        );
        assert_eq!(
            of(&claims, "cancel"),
            (text("yes"), "unimplemented".to_owned(), Some(false))
        );
        assert_eq!(
            of(&claims, "Substrait"),
            (text("no"), "unimplemented".to_owned(), Some(true))
        );
        assert_eq!(
            of(&claims, "read only"),
            (text("yes"), "an update works".to_owned(), Some(false))
        );
        assert_eq!(of(&claims, "SQL"), (None, "works".to_owned(), None));
        assert_eq!(of(&claims, "bulk ingestion"), (None, "not tried".to_owned(), None));
        assert_eq!(
            of(&claims, "prepared statements"),
            (
                text("can be made"),
                "run by handle: unimplemented".to_owned(),
                Some(false)
            )
        );
        assert_eq!(of(&claims, "action CancelQuery").2, Some(false));
    }
}
