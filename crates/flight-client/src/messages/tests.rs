//! Answers whose body comes in frames of any cut.

use std::convert::Infallible;

use futures::executor::block_on;
use futures::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1_000_000;

/// An answer whose body comes in these frames.
fn answer(frames: Vec<Frame<Bytes>>, status: StatusCode) -> Messages {
    let frames = stream::iter(frames.into_iter().map(Ok::<_, Infallible>));
    Messages {
        body: Body::new(StreamBody::new(frames)),
        status,
        is_told: false,
        rest: Bytes::new(),
        pool: BufferPool::new(),
        max_message_bytes: LIMIT,
    }
}

fn trailers(code: &'static str) -> Frame<Bytes> {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from_static(code));
    Frame::trailers(headers)
}

fn message(header: usize, body: usize) -> FlightData {
    FlightData {
        data_header: vec![1; header].into(),
        data_body: (0..body).map(|number| number as u8).collect::<Vec<_>>().into(),
        ..FlightData::default()
    }
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flag];
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend(message);
    bytes
}

fn wire(messages: &[FlightData]) -> Vec<u8> {
    messages
        .iter()
        .flat_map(|message| framed(0, &message.encode_to_vec()))
        .collect()
}

fn cut(bytes: &[u8], length: usize) -> Vec<Frame<Bytes>> {
    bytes
        .chunks(length)
        .map(|chunk| Frame::data(Bytes::copy_from_slice(chunk)))
        .collect()
}

fn all(messages: &mut Messages) -> Result<Vec<FlightData>, Status> {
    block_on(async {
        let mut all = Vec::new();
        while let Some(message) = messages.next().await? {
            all.push(message);
        }
        Ok(all)
    })
}

proptest! {
    #[test]
    fn messages_are_the_same_however_they_are_cut(
        sizes in prop::collection::vec((0_usize..300, 0_usize..5_000), 0..6),
        length in 1_usize..6_000,
    ) {
        let sent: Vec<_> = sizes.iter().map(|(header, body)| message(*header, *body)).collect();
        let mut frames = cut(&wire(&sent), length);
        frames.push(trailers("0"));
        let mut messages = answer(frames, StatusCode::OK);
        prop_assert_eq!(all(&mut messages).unwrap(), sent);
        // Asked again after the end, it is the end.
        prop_assert_eq!(all(&mut messages).unwrap(), vec![]);
    }

    #[test]
    fn any_bytes_are_messages_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), length in 1_usize..50) {
        let mut frames = cut(&bytes, length);
        frames.push(trailers("0"));
        // Nothing is made up: what is read is no more than what came.
        if let Ok(read) = all(&mut answer(frames, StatusCode::OK)) {
            let length: usize = read.iter().map(|message| message.data_header.len() + message.data_body.len()).sum();
            prop_assert!(length <= bytes.len());
        }
    }
}

#[test]
fn a_message_in_one_frame_is_used_where_it_is() {
    let frame = Bytes::from(wire(&[message(100, 10_000)]));
    let place = frame.as_ptr() as usize..frame.as_ptr() as usize + frame.len();
    let mut messages = answer(vec![Frame::data(frame), trailers("0")], StatusCode::OK);
    let read = all(&mut messages).unwrap();
    assert!(place.contains(&(read[0].data_body.as_ptr() as usize)));
}

#[test]
fn columns_of_a_message_in_several_frames_lie_on_boundaries() {
    for header in [0, 1, 127, 128, 700] {
        let mut frames = cut(&wire(&[message(header, 100_000)]), 16_384);
        frames.push(trailers("0"));
        let read = all(&mut answer(frames, StatusCode::OK)).unwrap();
        assert_eq!(read[0].data_body.as_ptr() as usize % 64, 0, "{header}");
    }
}

#[test]
fn a_stream_that_is_cut_short_is_an_error_and_not_an_end() {
    let bytes = wire(&[message(10, 100)]);
    for length in 1..bytes.len() {
        let mut frames = cut(&bytes[..length], 7);
        frames.push(trailers("0"));
        let error = all(&mut answer(frames, StatusCode::OK)).unwrap_err();
        assert_eq!(error.code(), Code::Internal, "{length}");
    }
    // Whole messages, and no status behind them.
    let error = all(&mut answer(cut(&bytes, 50), StatusCode::OK)).unwrap_err();
    assert_eq!(error.code(), Code::Unknown);
}

#[test]
fn an_error_after_messages_comes_after_them() {
    let mut frames = cut(&wire(&[message(10, 100)]), 1_000);
    frames.push(trailers("8"));
    let mut messages = answer(frames, StatusCode::OK);
    assert!(block_on(messages.next()).unwrap().is_some());
    assert_eq!(block_on(messages.next()).unwrap_err().code(), Code::ResourceExhausted);
}

#[test]
fn an_answer_that_is_not_grpc_is_told_by_its_http_status() {
    for (http, code) in [
        (StatusCode::BAD_REQUEST, Code::Internal),
        (StatusCode::UNAUTHORIZED, Code::Unauthenticated),
        (StatusCode::FORBIDDEN, Code::PermissionDenied),
        (StatusCode::NOT_FOUND, Code::Unimplemented),
        (StatusCode::BAD_GATEWAY, Code::Unavailable),
        (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        (StatusCode::IM_A_TEAPOT, Code::Unknown),
    ] {
        let error = all(&mut answer(vec![], http)).unwrap_err();
        assert_eq!(error.code(), code, "{http}");
    }
}

#[test]
fn messages_that_were_not_agreed_on_are_refused() {
    let read = |bytes: Vec<u8>| all(&mut answer(cut(&bytes, 100), StatusCode::OK)).unwrap_err();
    assert_eq!(read(framed(1, b"compressed")).code(), Code::Internal);
    assert_eq!(read(framed(7, b"")).code(), Code::Internal);
    // The length alone decides: nothing of that size is waited for, or made room for.
    let mut huge = vec![0];
    huge.extend((LIMIT as u32 + 1).to_be_bytes());
    assert_eq!(read(huge).code(), Code::OutOfRange);
}

#[test]
fn the_columns_of_a_message_are_found_in_its_first_bytes() {
    let encoded = message(300, 1_000).encode_to_vec();
    assert_eq!(body_offset(&encoded[..400]), Some(encoded.len() - 1_000));
    // Too little of it, or nothing like it.
    assert_eq!(body_offset(&encoded[..200]), None);
    assert_eq!(body_offset(&[0xff; 30]), None);
    assert_eq!(body_offset(&[]), None);
}
