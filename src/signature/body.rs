//! Reading a body whole, within its limit and time.
//!
//! 1. A `content-length` over the limit is refused before anything is read, and a body that grows
//!    over it as soon as it does: `BodyTooLarge`.
//! 2. A body that is not complete within its time is refused: `BodyTimeout`. The time runs from
//!    the first moment at which the body has to be waited for; one that is there costs no timer.
//! 3. A body that breaks off is refused: `BodyInvalid`.
//! 4. A body of one frame is taken as it is, without a copy. Trailers are dropped.

use std::{
    error::Error,
    fmt,
    future::Future,
    mem,
    num::IntErrorKind,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use http_body_util::LengthLimitError;
use pin_project::pin_project;
use tokio::time::{Sleep, sleep};

use crate::rejection::{Rejection, RejectionKind};

/// Longest body, in bytes, unless set otherwise.
pub const DEFAULT_MAX_BODY_BYTES: usize = 16 * 1024;
/// Time for a body to arrive, unless set otherwise.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Frames taken in one go. A body that always has one more, all of them empty, must not keep the
/// task from everything else.
const FRAMES_PER_POLL: usize = 64;

type BoxError = Box<dyn Error + Send + Sync>;

/// How long a body may be, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    max_bytes: usize,
    timeout: Duration,
}

/// Limits under which no body could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "body limits of zero would refuse every request: use at least 1 byte and 1 nanosecond, or the \
     default of {DEFAULT_MAX_BODY_BYTES} bytes and {DEFAULT_BODY_TIMEOUT:?}"
)]
#[non_exhaustive]
pub struct InvalidBodyLimits;

impl BodyLimits {
    /// At most `max_bytes` bytes, all of them there within `timeout`.
    ///
    /// # Errors
    ///
    /// If either is zero.
    pub fn new(max_bytes: usize, timeout: Duration) -> Result<Self, InvalidBodyLimits> {
        if max_bytes == 0 || timeout.is_zero() {
            return Err(InvalidBodyLimits);
        }
        Ok(Self { max_bytes, timeout })
    }

    /// The longest body, in bytes.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// The time for a body to arrive.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl Default for BodyLimits {
    /// [`DEFAULT_MAX_BODY_BYTES`] and [`DEFAULT_BODY_TIMEOUT`].
    fn default() -> Self {
        Self {
            max_bytes: DEFAULT_MAX_BODY_BYTES,
            timeout: DEFAULT_BODY_TIMEOUT,
        }
    }
}

/// Reads `body` whole. `headers` are those of its request.
pub(crate) fn collect<B: Body>(body: B, headers: &HeaderMap, limits: BodyLimits) -> Buffering<B> {
    let is_over = announced_bytes(headers) > limits.max_bytes as u64
        || body.size_hint().lower() > limits.max_bytes as u64;
    Buffering {
        body,
        limits,
        refused: is_over.then(too_large),
        collected: Collected::Nothing,
        deadline: None,
    }
}

/// [`collect`]s the body of a request, leaving none in its place; `None`, and nothing done, where
/// it has been read before.
pub(crate) fn collect_unread<B: Body>(
    request: &mut Request<CheckedBody<B>>,
    limits: BodyLimits,
) -> Option<Buffering<B>> {
    match mem::replace(&mut request.body_mut().0, Content::Whole(None)) {
        Content::Unread(body) => Some(collect(body, request.headers(), limits)),
        whole @ Content::Whole(_) => {
            request.body_mut().0 = whole;
            None
        }
    }
}

/// What `content-length` announces; zero without one, and where it is no number: the bytes that
/// arrive are counted all the same.
fn announced_bytes(headers: &HeaderMap) -> u64 {
    let Some(Ok(text)) = headers.get(CONTENT_LENGTH).map(|value| value.to_str()) else {
        return 0;
    };
    match text.parse() {
        Ok(bytes) => bytes,
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => u64::MAX,
        Err(_) => 0,
    }
}

/// A body that is being read whole.
#[pin_project]
pub struct Buffering<B> {
    #[pin]
    body: B,
    limits: BodyLimits,
    refused: Option<Rejection>,
    collected: Collected,
    #[pin]
    deadline: Option<Sleep>,
}

impl<B> fmt::Debug for Buffering<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffering")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<B> Future for Buffering<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Output = Result<Bytes, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(rejection) = this.refused.take() {
            return Poll::Ready(Err(rejection));
        }
        for _ in 0..FRAMES_PER_POLL {
            match this.body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        this.collected.push(data, this.limits.max_bytes)?;
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(unreadable(&*error.into())));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(this.collected.take())),
                Poll::Pending => {
                    return poll_deadline(this.deadline, this.limits.timeout, cx).map(Err);
                }
            }
        }
        cx.waker().wake_by_ref();
        poll_deadline(this.deadline, this.limits.timeout, cx).map(Err)
    }
}

fn poll_deadline(
    mut deadline: Pin<&mut Option<Sleep>>,
    timeout: Duration,
    cx: &mut Context<'_>,
) -> Poll<Rejection> {
    if deadline.is_none() {
        deadline.set(Some(sleep(timeout)));
    }
    if let Some(deadline) = deadline.as_pin_mut() {
        ready!(deadline.poll(cx));
    }
    Poll::Ready(Rejection::new(
        RejectionKind::BodyTimeout,
        "body did not arrive within its time: `body_limits` sets it",
    ))
}

fn too_large() -> Rejection {
    Rejection::new(
        RejectionKind::BodyTooLarge,
        "body is over the limit: `body_limits` sets it",
    )
}

/// The rejection of a body that broke off. A limit that was set farther out, and which shows itself
/// as an error, is still a limit.
fn unreadable(error: &(dyn Error + 'static)) -> Rejection {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return too_large();
        }
        cause = error.source();
    }
    Rejection::body_invalid("request body could not be read")
}

/// The bytes so far.
enum Collected {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Collected {
    fn push(&mut self, mut data: impl Buf, max_bytes: usize) -> Result<(), Rejection> {
        let more = data.remaining();
        if more == 0 {
            return Ok(());
        }
        if more > max_bytes - self.len() {
            return Err(too_large());
        }
        match self {
            Self::Nothing => *self = Self::One(data.copy_to_bytes(more)),
            Self::One(first) => {
                let mut bytes = BytesMut::with_capacity(first.len() + more);
                bytes.put_slice(first);
                bytes.put(data);
                *self = Self::Many(bytes);
            }
            Self::Many(bytes) => bytes.put(data),
        }
        Ok(())
    }

    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(bytes) => bytes.len(),
            Self::Many(bytes) => bytes.len(),
        }
    }

    fn take(&mut self) -> Bytes {
        match mem::replace(self, Self::Nothing) {
            Self::Nothing => Bytes::new(),
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.freeze(),
        }
    }
}

/// The body that the check of the signature hands on: as it arrived, or, where it had to be
/// verified, its bytes.
#[pin_project]
pub struct CheckedBody<B>(#[pin] Content<B>);

#[pin_project(project = ContentProjection)]
enum Content<B> {
    /// Read whole; `None` once it has been taken.
    Whole(Option<Bytes>),
    /// As it arrived.
    Unread(#[pin] B),
}

impl<B> CheckedBody<B> {
    /// A body that nobody has read yet.
    #[must_use]
    pub fn unread(body: B) -> Self {
        Self(Content::Unread(body))
    }

    pub(crate) fn read(bytes: Bytes) -> Self {
        Self(Content::Whole(Some(bytes)))
    }

    /// The bytes, where they were read whole and have not been taken yet.
    #[must_use]
    pub fn whole(&self) -> Option<&Bytes> {
        match &self.0 {
            Content::Whole(bytes) => bytes.as_ref(),
            Content::Unread(_) => None,
        }
    }
}

impl<B> fmt::Debug for CheckedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Content::Whole(_) => "CheckedBody::Whole(..)",
            Content::Unread(_) => "CheckedBody::Unread(..)",
        })
    }
}

impl<B: Body<Data = Bytes>> Body for CheckedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().0.project() {
            ContentProjection::Whole(bytes) => {
                let rest = bytes.take().filter(|bytes| !bytes.is_empty());
                Poll::Ready(rest.map(|bytes| Ok(Frame::data(bytes))))
            }
            ContentProjection::Unread(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Content::Unread(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Unread(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, io, iter};

    use futures_util::stream;
    use http::HeaderValue;
    use http_body_util::{BodyExt, Channel, Empty, Full, Limited, StreamBody};
    use tokio::time::{Instant, advance};

    use super::*;

    const LIMIT: usize = 10;

    fn limits() -> BodyLimits {
        BodyLimits::new(LIMIT, DEFAULT_BODY_TIMEOUT).unwrap()
    }

    fn chunks(
        chunks: impl IntoIterator<Item = &'static [u8]>,
    ) -> impl Body<Data = Bytes, Error = Infallible> {
        StreamBody::new(stream::iter(
            chunks
                .into_iter()
                .map(|chunk| Ok(Frame::data(Bytes::from_static(chunk))))
                .collect::<Vec<_>>(),
        ))
    }

    async fn read<B>(body: B) -> Result<Bytes, RejectionKind>
    where
        B: Body<Error: Into<BoxError>>,
    {
        collect(body, &HeaderMap::new(), limits())
            .await
            .map_err(|rejection| rejection.kind())
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_and_refused_past_it() {
        let too_large = Err(RejectionKind::BodyTooLarge);
        assert_eq!(
            read(Full::<Bytes>::from(vec![1; LIMIT])).await.unwrap(),
            [1; LIMIT][..]
        );
        assert_eq!(
            read(Full::<Bytes>::from(vec![1; LIMIT + 1])).await,
            too_large
        );
        assert_eq!(
            read(chunks([&b"12345"[..], b"67890"])).await.unwrap(),
            "1234567890"
        );
        assert_eq!(
            read(chunks([&b"12345"[..], b"67890", b"1"])).await,
            too_large
        );
        assert_eq!(
            read(chunks([&b""[..], b"1", b"", b"2", b"3"]))
                .await
                .unwrap(),
            "123"
        );
        assert_eq!(read(Empty::<Bytes>::new()).await.unwrap(), "");
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_is_refused_before_reading() {
        let unread = || {
            StreamBody::new(stream::iter(iter::from_fn(
                || -> Option<Result<Frame<Bytes>, Infallible>> { panic!("the body was read") },
            )))
        };
        for (length, expected) in [
            ("11", Some(RejectionKind::BodyTooLarge)),
            ("18446744073709551616", Some(RejectionKind::BodyTooLarge)),
            ("10", None),
            ("ten", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static(length));
            let verdict = match expected {
                Some(_) => collect(unread(), &headers, limits()).await,
                None => collect(Full::<Bytes>::from("0123456789"), &headers, limits()).await,
            };
            assert_eq!(verdict.err().map(|rejection| rejection.kind()), expected);
        }
    }

    /// A body that knows its length, as HTTP/2 may without a header, and must not be read.
    struct Unread;

    impl Body for Unread {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            panic!("the body was read")
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(LIMIT as u64 + 1)
        }
    }

    #[tokio::test]
    async fn a_body_that_knows_to_be_over_the_limit_is_refused_before_reading() {
        assert_eq!(read(Unread).await, Err(RejectionKind::BodyTooLarge));
    }

    #[tokio::test]
    async fn one_frame_is_taken_without_a_copy() {
        let bytes = Bytes::from(vec![1; LIMIT]);
        let start = bytes.as_ptr();
        assert_eq!(read(Full::new(bytes)).await.unwrap().as_ptr(), start);
        let bytes = Bytes::from(vec![1; LIMIT]);
        let start = bytes.as_ptr();
        let whole = CheckedBody::<Full<Bytes>>::read(bytes);
        assert_eq!(read(whole).await.unwrap().as_ptr(), start);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_until_its_time_is_up() {
        for (late, expected) in [
            (Duration::from_millis(1), Err(RejectionKind::BodyTimeout)),
            (Duration::ZERO, Ok("12".into())),
        ] {
            let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
            let reading = tokio::spawn(read(body));
            sender.send_data(Bytes::from_static(b"1")).await.unwrap();
            tokio::task::yield_now().await;
            advance(Duration::from_millis(9_999)).await;
            sender.send_data(Bytes::from_static(b"2")).await.unwrap();
            tokio::task::yield_now().await;
            if late.is_zero() {
                drop(sender);
            } else {
                advance(late).await;
            }
            assert_eq!(reading.await.unwrap(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_though_it_is_never_waited_for_is_refused_in_time() {
        let endless = StreamBody::new(stream::iter(iter::repeat_with(|| {
            Ok::<_, Infallible>(Frame::data(Bytes::new()))
        })));
        let reading = tokio::spawn(read(endless));
        // This task has its turns beside it, or the loop would not come to its end.
        let start = Instant::now();
        while !reading.is_finished() && start.elapsed() < DEFAULT_BODY_TIMEOUT * 2 {
            tokio::task::yield_now().await;
            advance(Duration::from_secs(1)).await;
        }
        assert!(reading.is_finished());
        assert_eq!(reading.await.unwrap(), Err(RejectionKind::BodyTimeout));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_invalid_unless_it_met_a_limit_farther_out() {
        let broken = StreamBody::new(stream::iter([
            Ok(Frame::data(Bytes::from_static(b"1"))),
            Err(io::Error::other("connection reset")),
        ]));
        assert_eq!(read(broken).await, Err(RejectionKind::BodyInvalid));
        let limited = Limited::new(chunks([&b"1"[..], b"23"]), 2);
        assert_eq!(read(limited).await, Err(RejectionKind::BodyTooLarge));
    }

    #[test]
    fn limits_of_zero_are_refused() {
        let second = Duration::from_secs(1);
        assert!(BodyLimits::new(1, Duration::from_nanos(1)).is_ok());
        assert_eq!(BodyLimits::new(0, second), Err(InvalidBodyLimits));
        assert_eq!(BodyLimits::new(1, Duration::ZERO), Err(InvalidBodyLimits));
    }

    #[tokio::test]
    async fn a_checked_body_yields_its_bytes_once_and_knows_its_length() {
        for (bytes, length) in [("", 0), ("abc", 3)] {
            let mut whole = CheckedBody::<Full<Bytes>>::read(Bytes::from(bytes));
            assert_eq!(whole.size_hint().exact(), Some(length));
            assert_eq!(whole.is_end_stream(), length == 0);
            assert_eq!(whole.whole().unwrap(), bytes);
            let frame = whole
                .frame()
                .await
                .map(|frame| frame.unwrap().into_data().unwrap());
            assert_eq!(frame.unwrap_or_default(), bytes);
            assert!(whole.is_end_stream());
            assert!(whole.frame().await.is_none());
        }
        let unread = CheckedBody::unread(Full::<Bytes>::from("abc"));
        assert_eq!(unread.whole(), None);
        assert_eq!(unread.size_hint().exact(), Some(3));
        assert_eq!(unread.collect().await.unwrap().to_bytes(), "abc");
    }
}
