//! What travels beside a call: attribution, credentials and the parts of a query that are not SQL.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use lakepilot_query::{Dictionaries, Error, ErrorKind, Query, Result, to_rfc3339};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request};

use crate::config::ClientConfig;
use crate::credentials::CredentialProvider;

/// The request for one call, with all of its metadata. `time_limit` is what the server is told of how long it may take.
pub(crate) async fn request<T>(
    message: T,
    config: &ClientConfig,
    with_credentials: bool,
    query: Option<&Query>,
    time_limit: Option<Duration>,
) -> Result<Request<T>> {
    let mut headers = config.attribution.as_headers().clone();
    if with_credentials {
        add_credentials(&mut headers, config).await?;
    }
    if let Some(query) = query {
        add_query(&mut headers, query)?;
    }
    let mut request = Request::from_parts(MetadataMap::from_headers(headers), Extensions::default(), message);
    if let Some(time_limit) = time_limit {
        request.set_timeout(time_limit);
    }
    Ok(request)
}

/// What the provider has to send.
pub(crate) async fn provided(provider: &dyn CredentialProvider) -> Result<HeaderMap> {
    provider
        .headers()
        .await
        .map_err(|error| error.context("cannot get credentials for the call"))
}

async fn add_credentials(headers: &mut HeaderMap, config: &ClientConfig) -> Result<()> {
    for (name, value) in config.headers.as_headers() {
        headers.insert(name, value.clone());
    }
    if let Some(provider) = &config.provider {
        let provided = provided(provider.as_ref()).await?;
        let mut name = None;
        for (next, mut value) in provided {
            value.set_sensitive(true);
            // A repeated name comes without one after the first time.
            match next {
                Some(next) => {
                    headers.insert(next.clone(), value);
                    name = Some(next);
                }
                None => {
                    if let Some(name) = &name {
                        headers.append(name.clone(), value);
                    }
                }
            }
        }
    }
    Ok(())
}

const RANGE_BEGIN: HeaderName = HeaderName::from_static("query_range_begin");
const RANGE_END: HeaderName = HeaderName::from_static("query_range_end");
const LIMIT: HeaderName = HeaderName::from_static("limit");
const PRESERVE_DICTIONARY: HeaderName = HeaderName::from_static("preserve_dictionary");

fn add_query(headers: &mut HeaderMap, query: &Query) -> Result<()> {
    if let Some(range) = query.time_range() {
        headers.insert(RANGE_BEGIN, text(to_rfc3339(range.begin()))?);
        headers.insert(RANGE_END, text(to_rfc3339(range.end()))?);
    }
    if let Some(limit) = query.limit() {
        headers.insert(LIMIT, HeaderValue::from(limit));
    }
    match query.dictionaries() {
        Dictionaries::Flattened => {}
        Dictionaries::Preserved => {
            headers.insert(PRESERVE_DICTIONARY, HeaderValue::from_static("true"));
        }
    }
    Ok(())
}

fn text(text: String) -> Result<HeaderValue> {
    HeaderValue::try_from(text)
        .map_err(|error| Error::new(ErrorKind::Internal, "a time cannot be sent as a header").with_source(error))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::credentials::{MockCredentialProvider, StaticCredentials};
    use lakepilot_query::{TimeRange, parse_time};

    fn config() -> ClientConfig {
        ClientConfig::new("grpc://localhost").unwrap()
    }

    async fn headers(config: &ClientConfig, with_credentials: bool, query: Option<&Query>) -> HeaderMap {
        let request = request((), config, with_credentials, query, None).await.unwrap();
        request.into_parts().0.into_headers()
    }

    #[tokio::test]
    async fn a_query_travels_with_its_range_limit_and_dictionaries() {
        let time = |text| parse_time(text, Default::default()).unwrap();
        let range = TimeRange::new(time("2026-01-31T12:00:00Z"), time("2026-01-31T12:00:00.000000001Z")).unwrap();
        let query = Query::new("SELECT 1")
            .unwrap()
            .with_time_range(range)
            .with_limit(7)
            .with_dictionaries(Dictionaries::Preserved);
        let headers = headers(&config(), true, Some(&query)).await;
        assert_eq!(headers["query_range_begin"], "2026-01-31T12:00:00Z");
        assert_eq!(headers["query_range_end"], "2026-01-31T12:00:00.000000001Z");
        assert_eq!(headers["limit"], "7");
        assert_eq!(headers["preserve_dictionary"], "true");
        assert_eq!(headers["x-client-type"], "lakepilot");
    }

    #[tokio::test]
    async fn a_plain_query_says_nothing_of_them() {
        let headers = headers(&config(), true, Some(&Query::new("SELECT 1").unwrap())).await;
        for name in ["query_range_begin", "query_range_end", "limit", "preserve_dictionary"] {
            assert!(!headers.contains_key(name), "{name}");
        }
    }

    #[tokio::test]
    async fn a_provider_goes_over_the_configuration_and_stays_secret() {
        let mut provider = MockCredentialProvider::new();
        provider.expect_headers().times(1).returning(|| {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", HeaderValue::from_static("Bearer fresh"));
            headers.append("x-scope", HeaderValue::from_static("a"));
            headers.append("x-scope", HeaderValue::from_static("b"));
            Ok(headers)
        });
        let config = config()
            .with_bearer_token("stale")
            .unwrap()
            .with_credentials(Arc::new(provider));
        let headers = headers(&config, true, None).await;
        assert_eq!(headers["authorization"], "Bearer fresh");
        assert_eq!(headers.get_all("x-scope").iter().count(), 2);
        for name in ["authorization", "x-scope"] {
            assert!(headers.get_all(name).iter().all(HeaderValue::is_sensitive), "{name}");
        }
    }

    #[tokio::test]
    async fn without_credentials_there_are_none() {
        let config = config()
            .with_bearer_token("t")
            .unwrap()
            .with_credentials(Arc::new(StaticCredentials::new().with_api_key("k").unwrap()));
        let headers = headers(&config, false, None).await;
        assert!(
            headers.keys().all(|name| name.as_str().starts_with("x-client-")),
            "{headers:?}"
        );
    }

    #[tokio::test]
    async fn a_provider_that_fails_is_the_error_of_the_call() {
        let mut provider = MockCredentialProvider::new();
        provider
            .expect_headers()
            .returning(|| Err(Error::new(ErrorKind::Unauthenticated, "the token has expired")));
        let config = config().with_credentials(Arc::new(provider));
        let error = request((), &config, true, None, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(error.message().contains("the token has expired"), "{error}");
    }
}
