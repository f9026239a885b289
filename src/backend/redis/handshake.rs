//! What a server says of itself when a connection begins. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use redis::{Pipeline, Value, from_redis_value_ref};

use super::RedisGuardError;
use crate::trace;

/// The policy under which a full server refuses to write, instead of forgetting.
const KEEPS: &str = "noeviction";

/// The questions, whose answers [`read`] reads.
pub(super) fn questions() -> Pipeline {
    let mut questions = redis::pipe();
    questions.cmd("INFO").arg("server");
    questions.cmd("INFO").arg("memory");
    questions.cmd("CONFIG").arg("GET").arg("maxmemory-policy");
    questions.ignore_errors();
    questions
}

/// The instant by which the server had started, or `now` where it does not say; an error if it
/// evicts.
pub(super) fn read(
    answers: &[Value],
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, RedisGuardError> {
    let [server, memory, config] = answers else {
        return Err(RedisGuardError::Unexpected);
    };
    let server = from_redis_value_ref::<String>(server).unwrap_or_default();
    let memory = from_redis_value_ref::<String>(memory).unwrap_or_default();
    let set = from_redis_value_ref::<Vec<String>>(config).unwrap_or_default();
    let policy = field(&memory, "maxmemory_policy").or(set.get(1).map(String::as_str));
    judge(policy)?;
    Ok(started_by(&server).unwrap_or_else(|| {
        trace::warn!(target: trace::VERIFY, from = %now, "the Redis server does not say when it started (INFO is not allowed): nonces dated before this connection are refused");
        now
    }))
}

/// An error if `policy` evicts; a warning where it is not known.
pub(super) fn judge(policy: Option<&str>) -> Result<(), RedisGuardError> {
    match policy {
        Some(KEEPS) => Ok(()),
        Some(policy) => Err(RedisGuardError::Evicts {
            policy: policy.to_owned(),
        }),
        None => {
            trace::warn!(target: trace::VERIFY, needed = KEEPS, "the Redis server does not say whether it evicts (INFO and CONFIG are not allowed): see to its maxmemory-policy");
            Ok(())
        }
    }
}

/// The value of a line `name:value`.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(field, _)| *field == name)
        .map(|(_, value)| value.trim())
}

/// The server counts its age in whole seconds from the second in which it started, so that the next
/// second is surely after its start.
fn started_by(info: &str) -> Option<DateTime<Utc>> {
    let number = |name| field(info, name)?.parse::<i64>().ok();
    let now = DateTime::from_timestamp_micros(number("server_time_usec")?)?;
    let age = TimeDelta::try_seconds(number("uptime_in_seconds")?.checked_sub(1)?)?;
    now.checked_sub_signed(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_server_has_started_by_the_second_after_its_age() {
        let server = "# Server\r\nserver_time_usec:1000000000\r\nuptime_in_seconds:400\r\n";
        let answers = [
            text(server),
            text("maxmemory_policy:noeviction\r\n"),
            Value::Nil,
        ];
        assert_eq!(read(&answers, at(5_000)).unwrap(), at(601));
    }

    #[test]
    fn a_server_that_does_not_say_is_taken_to_have_started_now() {
        for server in [
            "",
            "uptime_in_seconds:400",
            "server_time_usec:-9223372036854775808\nuptime_in_seconds:9223372036854775807",
            "server_time_usec:1\nuptime_in_seconds:-9223372036854775808",
        ] {
            let answers = [text(server), Value::Nil, Value::Nil];
            assert_eq!(read(&answers, at(5_000)).unwrap(), at(5_000), "{server}");
        }
    }

    #[test]
    fn a_policy_that_evicts_is_refused_wherever_it_is_said() {
        let config = Value::Array(vec![text("maxmemory-policy"), text("volatile-lru")]);
        for (memory, config) in [
            (text("maxmemory_policy:allkeys-lru\r\n"), Value::Nil),
            (Value::Nil, config),
        ] {
            let refused = read(&[Value::Nil, memory, config], at(0)).unwrap_err();
            assert!(
                matches!(refused, RedisGuardError::Evicts { .. }),
                "{refused}"
            );
        }
    }
}
