//! Reading a JSON object strictly: every member once, those asked for as strings.
//!
//! Nonces and bodies come from strangers, and other programs read them too. What two readers could
//! understand differently (a member twice, text after the object, bytes that are no UTF-8) is
//! refused. Members that nobody asked for are passed over.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserializer,
    de::{self, Deserialize, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Why an object can't be read. A number is a member's place among those asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MembersError {
    /// No JSON object, or not that alone.
    NotAnObject,
    /// A member comes twice.
    Twice,
    /// A member that was asked for is not there.
    Missing(usize),
    /// A member that was asked for is no string.
    NotText(usize),
}

/// The strings of `N` members of a JSON object, each found under any one of its spellings.
pub(crate) fn read<'a, const N: usize>(
    json: &'a [u8],
    spellings: [&[&str]; N],
) -> Result<[Cow<'a, str>; N], MembersError> {
    let text = std::str::from_utf8(json).map_err(|_| MembersError::NotAnObject)?;
    let mut json = serde_json::Deserializer::from_str(text);
    let mut fault = MembersError::NotAnObject;
    let reader = Reader {
        spellings,
        fault: &mut fault,
    };
    let members = reader.deserialize(&mut json).map_err(|_| fault)?;
    json.end().map_err(|_| MembersError::NotAnObject)?;
    Ok(members)
}

struct Reader<'r, const N: usize> {
    spellings: [&'r [&'r str]; N],
    fault: &'r mut MembersError,
}

impl<'de, const N: usize> DeserializeSeed<'de> for Reader<'_, N> {
    type Value = [Cow<'de, str>; N];

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Reader<'_, N> {
    type Value = [Cow<'de, str>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with each member once")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut values: [Option<Value>; N] = [const { None }; N];
        let mut others = HashSet::new();
        while let Some(Value::Text(name)) = map.next_key()? {
            let place = self
                .spellings
                .iter()
                .position(|names| names.contains(&&*name));
            let new = if let Some(place) = place {
                values[place].replace(map.next_value()?).is_none()
            } else {
                map.next_value::<IgnoredAny>()?;
                others.insert(name)
            };
            if !new {
                *self.fault = MembersError::Twice;
                return Err(de::Error::custom("a member comes twice"));
            }
        }
        let mut fault = None;
        let texts = std::array::from_fn(|place| match values[place].take() {
            Some(Value::Text(text)) => text,
            Some(Value::Other) => {
                fault.get_or_insert(MembersError::NotText(place));
                Cow::Borrowed("")
            }
            None => {
                fault.get_or_insert(MembersError::Missing(place));
                Cow::Borrowed("")
            }
        });
        match fault {
            None => Ok(texts),
            Some(fault) => {
                *self.fault = fault;
                Err(de::Error::custom("a member is missing or no string"))
            }
        }
    }
}

/// A string, borrowed where it has no escapes; or something else, which is only looked through.
enum Value<'a> {
    Text(Cow<'a, str>),
    Other,
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_read(json: &str, expected: Result<[&str; 2], MembersError>) {
        let read = read(json.as_bytes(), [&["a", "A"], &["b"]]);
        assert_eq!(
            read,
            expected.map(|texts| texts.map(Cow::Borrowed)),
            "{json}"
        );
    }

    #[test]
    fn members_are_found_in_any_order_and_spelling_among_others() {
        assert_read(r#"{"a":"1","b":"2"}"#, Ok(["1", "2"]));
        assert_read(
            r#" {"x":[{}],"b":"\u0032","y":null,"A":"1"} "#,
            Ok(["1", "2"]),
        );
    }

    #[test]
    fn a_member_twice_is_refused_asked_for_or_not() {
        assert_read(r#"{"a":"1","a":"1","b":"2"}"#, Err(MembersError::Twice));
        assert_read(r#"{"a":"1","A":"1","b":"2"}"#, Err(MembersError::Twice));
        assert_read(
            r#"{"a":"1","\u0061":"1","b":"2"}"#,
            Err(MembersError::Twice),
        );
        assert_read(r#"{"a":"1","b":"2","x":1,"x":2}"#, Err(MembersError::Twice));
        assert_read(r#"{"a":1,"a":"1","b":"2"}"#, Err(MembersError::Twice));
    }

    #[test]
    fn the_first_member_that_is_missing_or_no_string_is_told() {
        assert_read("{}", Err(MembersError::Missing(0)));
        assert_read(r#"{"a":"1"}"#, Err(MembersError::Missing(1)));
        for other in ["1", "-1", "1.5", "true", "null", "[]", "{}", r#"["1"]"#] {
            let json = format!(r#"{{"b":{other},"a":"1"}}"#);
            assert_read(&json, Err(MembersError::NotText(1)));
        }
    }

    #[test]
    fn what_is_no_object_alone_is_refused() {
        for json in [
            "",
            " ",
            "[]",
            r#"["1","2"]"#,
            r#""a""#,
            "null",
            "{",
            "{}{}",
            "{} x",
        ] {
            let read = read(json.as_bytes(), [&["a"]]);
            assert!(read.is_err(), "{json}");
        }
        let after = r#"{"a":"1","b":"2"} {}"#;
        assert_read(after, Err(MembersError::NotAnObject));
        assert_eq!(
            read(b"{\"a\":\"1\",\"x\":\"\xff\"}", [&["a"]]),
            Err(MembersError::NotAnObject)
        );
    }

    #[test]
    fn depth_does_no_harm() {
        let deep = format!(
            r#"{{"x":{}{},"a":"1","b":"2"}}"#,
            "[".repeat(5_000),
            "]".repeat(5_000)
        );
        assert_read(&deep, Ok(["1", "2"]));
    }
}
